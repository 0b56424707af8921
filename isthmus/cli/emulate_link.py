"""`isthmus emulate-link`: a shaped TCP relay in the foreground, steered by lines on standard input."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from isthmus.addresses import format_address, parse_address
from isthmus.cli.listen_options import Insecure, listen_address
from isthmus.errors import InvalidConfiguration, IsthmusError
from isthmus.units import parse_bandwidth_bps, parse_duration_s
from simulations.link_emulator import LinkEmulator, LinkShape
from simulations.link_trace import LinkState, LinkTrace, play_trace
from simulations.trace_files.reading import read_link_trace

__all__ = ["PlayedTrace", "emulate_link", "played_traces"]

_COMMANDS = (
    "rate BANDWIDTH, uplink BANDWIDTH, downlink BANDWIDTH, rtt TIME, jitter TIME, stall TIME, cut, restore, quit"
)
_DEFAULT_RTT = "30ms"


class PlayedTrace(NamedTuple):
    """fields: of the link's shape, that follow the recording."""

    trace: LinkTrace
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Setup:
    listen: tuple[str, int]
    target: tuple[str, int]
    shape: LinkShape
    played: tuple[PlayedTrace, ...]


def emulate_link(
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on; port 0 takes a free one.")],
    target: Annotated[str, typer.Option(help="HOST:PORT to relay to.")],
    bandwidth: Annotated[str, typer.Option(help="Both ways, like 20mbps.")] = "20mbps",
    rtt: Annotated[
        str | None, typer.Option(help="There and back, like 30ms (the default); half of it each way.")
    ] = None,
    uplink: Annotated[str | None, typer.Option(help="Towards the target, instead of --bandwidth.")] = None,
    downlink: Annotated[str | None, typer.Option(help="From the target, instead of --bandwidth.")] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="File of `isthmus record`, of lines 'seconds Mbit/s' or of packet opportunities (mahimahi); repeats. "
            "What --uplink, --downlink and --rtt give stays as given."
        ),
    ] = None,
    downlink_trace: Annotated[
        Path | None,
        typer.Option(help="File of the way from the target, of the same forms; without it --trace plays both ways."),
    ] = None,
    jitter: Annotated[str, typer.Option(help="How far each delay may be off, like 5ms.")] = "0ms",
    insecure: Insecure = False,
) -> None:
    """Relay TCP through an emulated link until Ctrl-C.

    The target sees whoever comes through as this machine, and lets them do what it lets this machine do; so beyond
    loopback it listens only with --insecure.

    While it runs, lines on standard input change it: rate 5mbps, uplink 1mbps, downlink 5mbps, rtt 50ms, jitter 5ms,
    stall 2s, cut, restore, quit.
    """
    shape = LinkShape(
        parse_bandwidth_bps(uplink or bandwidth, "--uplink" if uplink else "--bandwidth"),
        parse_bandwidth_bps(downlink or bandwidth, "--downlink" if downlink else "--bandwidth"),
        parse_duration_s(rtt or _DEFAULT_RTT, "--rtt"),
        parse_duration_s(jitter, "--jitter"),
    )
    setup = _Setup(
        listen_address(listen, "--listen", insecure=insecure),
        parse_address(target, "--target"),
        shape,
        played_traces(
            read_link_trace(trace) if trace is not None else None,
            read_link_trace(downlink_trace) if downlink_trace is not None else None,
            frozenset(
                name
                for name, fixed in (("uplink_bps", uplink), ("downlink_bps", downlink), ("rtt_s", rtt))
                if not fixed
            ),
        ),
    )
    asyncio.run(_run(setup))


def played_traces(both: LinkTrace | None, down: LinkTrace | None, free: frozenset[str]) -> tuple[PlayedTrace, ...]:
    """Which recording what of the link follows. down: of the way from the target, if it has one of its own; round trips
    are those of `both` where it has some, as of a scenario's link. free: the fields that no option gives.

    Raises InvalidConfiguration where an option gives the bandwidth that `down` is there for.
    """
    if down is None:
        return () if both is None else (PlayedTrace(both, free),)
    if "downlink_bps" not in free:
        problem = "is of no use beside --downlink, which gives what it would play"
        raise InvalidConfiguration("--downlink-trace", problem, remedy="leave one of them out")
    if both is None:
        return (PlayedTrace(down, free - {"uplink_bps"}),)
    its = frozenset({"downlink_bps"}) | (free & {"rtt_s"} if both.rtts_s is None else frozenset())
    return PlayedTrace(both, free - its), PlayedTrace(down, its)


async def _run(setup: _Setup) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    emulator = LinkEmulator(setup.shape)
    players = list[asyncio.Task[None]]()
    try:
        address = await emulator.relay(*setup.listen, *setup.target)
        print(f"ready: {format_address(*address)}", flush=True)
        _start_reading_commands(lambda line: _obey(line, emulator, over))
        players += [asyncio.create_task(play_trace(one.trace, _follow(emulator, one.fields))) for one in setup.played]
        await over.wait()
    finally:
        for player in players:
            player.cancel()
        await emulator.close()


def _follow(emulator: LinkEmulator, fields: frozenset[str]) -> Callable[[LinkState], None]:
    def follow(state: LinkState) -> None:
        known = {name: value for name, value in asdict(state).items() if name in fields and value is not None}
        emulator.set_shape(replace(emulator.shape, **known))

    return follow


def _start_reading_commands(obey: Callable[[str], None]) -> None:
    """Standard input may be a terminal, a pipe, a file or nothing, so a thread reads it; its end means nothing."""
    loop = asyncio.get_running_loop()
    # In the background of a shell, reading the terminal would stop the process; ignored, the read fails instead.
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    def read() -> None:
        # os.read and not sys.stdin: a thread that waits inside a buffered reader would hold its lock at exit.
        rest = b""
        while (data := _read_some()) and not loop.is_closed():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                loop.call_soon_threadsafe(obey, line.decode(errors="replace").strip())

    threading.Thread(target=read, name="commands", daemon=True).start()


def _read_some() -> bytes:
    try:
        return os.read(0, 4096)
    except OSError:
        return b""


def _obey(line: str, emulator: LinkEmulator, over: asyncio.Event) -> None:
    if not line:
        return
    try:
        _execute(line.split(), emulator, over)
    except IsthmusError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)


def _execute(words: list[str], emulator: LinkEmulator, over: asyncio.Event) -> None:
    match words:
        case ["rate", text]:
            bps = parse_bandwidth_bps(text, "rate")
            emulator.set_shape(replace(emulator.shape, uplink_bps=bps, downlink_bps=bps))
        case ["uplink", text]:
            emulator.set_shape(replace(emulator.shape, uplink_bps=parse_bandwidth_bps(text, "uplink")))
        case ["downlink", text]:
            emulator.set_shape(replace(emulator.shape, downlink_bps=parse_bandwidth_bps(text, "downlink")))
        case ["rtt", text]:
            emulator.set_shape(replace(emulator.shape, rtt_s=parse_duration_s(text, "rtt")))
        case ["jitter", text]:
            emulator.set_shape(replace(emulator.shape, jitter_s=parse_duration_s(text, "jitter")))
        case ["stall", text]:
            emulator.stall(parse_duration_s(text, "stall"))
        case ["cut"]:
            emulator.cut()
        case ["restore"]:
            emulator.restore()
        case ["quit"]:
            over.set()
        case _:
            raise InvalidConfiguration("command", "is unknown", value=" ".join(words), remedy=f"use {_COMMANDS}")
