"""`isthmus record` through `isthmus emulate-link`, as three processes: a link whose truth is known."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from simulations.trace_files.reading import read_link_trace

PIPE = subprocess.PIPE


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of the command line, and the address that it says it is ready at."""
    command = [sys.executable, "-m", "isthmus", *arguments]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def test_what_is_recorded_is_what_the_link_did(tmp_path: Path) -> None:
    path = tmp_path / "link.csv"
    shape = ("--uplink", "6mbps", "--downlink", "16mbps", "--rtt", "40ms")
    with (
        running("record", "--listen", "127.0.0.1:0") as (_, far),
        running("emulate-link", "--listen", "127.0.0.1:0", "--target", far, *shape) as (link, address),
    ):
        command = ["record", "--target", address, "-o", str(path), "--for", "60s", "--every", "400ms", "--json"]
        with subprocess.Popen(
            [sys.executable, "-m", "isthmus", *command], stdout=PIPE, stderr=PIPE, text=True
        ) as recorder:
            assert recorder.stderr is not None
            lines = [recorder.stderr.readline() for _ in range(3)]
            tell(link, "uplink 2mbps")
            tell(link, "rtt 80ms")
            lines += [recorder.stderr.readline() for _ in range(4)]
            recorder.send_signal(signal.SIGINT)
            said, _ = recorder.communicate(timeout=20)
    assert recorder.returncode == 0, lines
    told = json.loads(said)
    assert told["files"] == [str(path)]
    trace = read_link_trace(path)
    assert len(trace.times_s) == told["samples"] >= 7
    assert trace.rtts_s is not None
    before, after = slice(0, 3), slice(4, 7)  # the look between them saw the step
    assert median(trace.uplink_bps[before]) == pytest.approx(6e6, rel=0.1)
    assert median(trace.downlink_bps[before]) == pytest.approx(16e6, rel=0.1)
    assert median(trace.rtts_s[before]) == pytest.approx(0.040, abs=0.006)
    assert median(trace.uplink_bps[after]) == pytest.approx(2e6, rel=0.1)
    assert median(trace.downlink_bps[after]) == pytest.approx(16e6, rel=0.1)
    assert median(trace.rtts_s[after]) == pytest.approx(0.080, abs=0.006)
