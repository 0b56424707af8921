"""`isthmus record`: what it refuses, and the files that it writes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.addresses import parse_address
from isthmus.cli.main import app
from isthmus.errors import CloudUnavailable, InvalidConfiguration, InvalidInput, InvalidQuantity, PortInUse
from simulations.link_recorder.far_end import FarEnd
from simulations.trace_files.reading import read_link_trace


@pytest.fixture
def far() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=FarEnd(listener, lambda line: None).serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["record", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


@pytest.mark.parametrize(
    ("form", "names"), [("csv", ["l"]), ("table", ["l.up", "l.down"]), ("mahimahi", ["l.up", "l.down"])]
)
def test_every_form_is_read_again(far: str, tmp_path: Path, form: str, names: list[str]) -> None:
    said = run("--target", far, "-o", str(tmp_path / "l"), "--for", "300ms", "--every", "100ms", "--form", form)
    assert said.startswith("wrote ")
    for name in names:
        assert read_link_trace(tmp_path / name).uplink_bps[0] > 1e6


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((), InvalidInput, "--target"),
        (("--target", "127.0.0.1:1", "--listen", "127.0.0.1:0"), InvalidInput, "not both"),
        (("--target", "127.0.0.1:1"), InvalidInput, "-o: is missing"),
        (("--target", "nowhere", "-o", "l"), InvalidConfiguration, "--target"),
        (("--target", "127.0.0.1:1", "-o", "l", "--for", "long"), InvalidQuantity, "--for"),
        (("--target", "127.0.0.1:1", "-o", "l", "--budget", "1kB"), InvalidQuantity, "--budget"),
        (("--target", "127.0.0.1:1", "-o", "no/l"), InvalidInput, "-o"),
        (("--target", "127.0.0.1:1", "-o", "/proc/l"), InvalidInput, "-o: cannot be written"),
        (("--target", "127.0.0.1:1", "-o", "l"), CloudUnavailable, "--listen"),
        (("--listen", "nowhere"), InvalidConfiguration, "--listen"),
    ],
)
def test_what_cannot_record_is_refused(arguments: tuple[str, ...], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run(*arguments)


def test_it_listens_beyond_this_machine_only_where_told(far: str) -> None:
    everywhere = f"0.0.0.0:{parse_address(far)[1]}"
    with pytest.raises(InvalidConfiguration, match=r"--listen: is reached from other machines.*--insecure"):
        run("--listen", everywhere)
    with pytest.raises(PortInUse):  # it has been let through
        run("--listen", everywhere, "--insecure")
