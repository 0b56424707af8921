"""`isthmus emulate-link` as its own process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from isthmus.addresses import parse_address
from isthmus.cli.emulate_link import PlayedTrace, emulate_link, played_traces
from isthmus.errors import InvalidConfiguration, InvalidQuantity, PortInUse
from simulations.link_trace import LinkTrace

COMMAND = "import typer; from isthmus.cli.emulate_link import emulate_link; typer.run(emulate_link)"


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def relay(target: socket.socket) -> Iterator[subprocess.Popen[str]]:
    arguments = ["--listen", "127.0.0.1:0", "--target", f"127.0.0.1:{target.getsockname()[1]}", "--rtt", "2ms"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        yield process
        process.kill()


def address_of(relay: subprocess.Popen[str]) -> tuple[str, int]:
    assert relay.stdout is not None
    word, address = relay.stdout.readline().split()
    assert word == "ready:"
    return parse_address(address)


def tell(relay: subprocess.Popen[str], line: str) -> None:
    assert relay.stdin is not None
    relay.stdin.write(line + "\n")
    relay.stdin.flush()


def test_it_says_where_it_listens_and_relays(relay: subprocess.Popen[str], target: socket.socket) -> None:
    with socket.create_connection(address_of(relay)) as client, target.accept()[0] as far:
        client.sendall(b"ping")
        assert far.recv(4, socket.MSG_WAITALL) == b"ping"


def test_quit_ends_it_with_success(relay: subprocess.Popen[str]) -> None:
    address_of(relay)
    tell(relay, "quit")
    assert relay.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_success(relay: subprocess.Popen[str], number: signal.Signals) -> None:
    address_of(relay)
    relay.send_signal(number)
    assert relay.wait(10) == 0


def test_cut_breaks_connections(relay: subprocess.Popen[str], target: socket.socket) -> None:
    with socket.create_connection(address_of(relay), timeout=10) as client, target.accept()[0]:
        tell(relay, "cut")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize("line", ["rate much", "fly", "rate", "stall -1s"])
def test_a_bad_command_is_one_line_and_nothing_stops(relay: subprocess.Popen[str], line: str) -> None:
    address_of(relay)
    tell(relay, line)
    assert relay.stderr is not None
    assert relay.stderr.readline().startswith("error: ")
    tell(relay, "quit")
    assert relay.wait(10) == 0


def test_the_end_of_standard_input_stops_nothing(relay: subprocess.Popen[str], target: socket.socket) -> None:
    address = address_of(relay)
    assert relay.stdin is not None
    relay.stdin.close()
    with socket.create_connection(address) as client, target.accept()[0] as far:
        client.sendall(b"ping")
        assert far.recv(4, socket.MSG_WAITALL) == b"ping"


def test_a_bad_address_names_the_option() -> None:
    with pytest.raises(InvalidConfiguration, match="--target"):
        emulate_link(listen="127.0.0.1:0", target="nowhere")


def test_a_bad_bandwidth_names_the_option() -> None:
    with pytest.raises(InvalidQuantity, match="--uplink"):
        emulate_link(listen="127.0.0.1:0", target="127.0.0.1:1", uplink="nan")


def test_it_listens_beyond_this_machine_only_where_told(target: socket.socket) -> None:
    port = target.getsockname()[1]
    with pytest.raises(InvalidConfiguration, match=r"--listen: is reached from other machines.*--insecure"):
        emulate_link(listen=f"0.0.0.0:{port}", target="127.0.0.1:1")
    with pytest.raises(PortInUse):  # it has been let through
        emulate_link(listen=f"0.0.0.0:{port}", target="127.0.0.1:1", insecure=True)


RATES = LinkTrace((0.0,), (1e6,), (2e6,))
TIMED = LinkTrace((0.0,), (3e6,), (4e6,), (0.02,))
UP, DOWN, RTT = "uplink_bps", "downlink_bps", "rtt_s"


@pytest.mark.parametrize(
    ("both", "down", "free", "played"),
    [
        (None, None, {UP, DOWN, RTT}, []),
        (TIMED, None, {UP, DOWN, RTT}, [(TIMED, {UP, DOWN, RTT})]),
        (TIMED, RATES, {UP, DOWN, RTT}, [(TIMED, {UP, RTT}), (RATES, {DOWN})]),
        (RATES, TIMED, {UP, DOWN, RTT}, [(RATES, {UP}), (TIMED, {DOWN, RTT})]),
        (RATES, TIMED, {DOWN}, [(RATES, set()), (TIMED, {DOWN})]),
        (None, TIMED, {UP, DOWN, RTT}, [(TIMED, {DOWN, RTT})]),
    ],
)
def test_each_way_follows_its_own_recording_and_round_trips_the_first_that_has_some(
    both: LinkTrace | None, down: LinkTrace | None, free: set[str], played: list[tuple[LinkTrace, set[str]]]
) -> None:
    wanted = tuple(PlayedTrace(trace, frozenset(fields)) for trace, fields in played)
    assert played_traces(both, down, frozenset(free)) == wanted


def test_a_recording_of_a_way_whose_bandwidth_is_given_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="--downlink-trace: is of no use beside --downlink"):
        played_traces(None, RATES, frozenset({UP, RTT}))
