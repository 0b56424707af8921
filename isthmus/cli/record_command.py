"""`isthmus record`: what a link does over time, to a file that the simulator and `isthmus emulate-link` read."""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path
from statistics import median
from typing import Annotated, NoReturn

import typer

from isthmus.addresses import format_address, parse_address
from isthmus.cli.listen_options import Insecure, listen_address
from isthmus.cli.output_file import check_output
from isthmus.errors import CloudUnavailable, InvalidInput, PortInUse
from isthmus.units import format_bandwidth, format_duration, format_size, parse_duration_s, parse_size_bytes
from simulations.link_recorder.far_end import FarEnd
from simulations.link_recorder.near_end import LinkSample, NearEnd, samples
from simulations.link_recorder.pace import RecordingPace
from simulations.link_recorder.recording import Recording
from simulations.link_trace import LinkTrace
from simulations.trace_files.writing import TraceForm, check_trace_files, trace_files

__all__ = ["record"]


def record(
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on: the far side, where the cloud is.")] = "",
    target: Annotated[str, typer.Option(help="HOST:PORT of the far side: record here, where the edge is.")] = "",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
    duration: Annotated[str, typer.Option("--for", help="How long to record.")] = "10min",
    every: Annotated[str, typer.Option(help="The least time from one look at the link to the next.")] = "1s",
    budget: Annotated[
        str, typer.Option(help="The most bytes to send, both ways; looks are further apart where it would not last.")
    ] = "250MB",
    form: Annotated[
        TraceForm,
        typer.Option(
            help="csv: both ways and round trips in one file; table, mahimahi: a file each way, .up and .down."
        ),
    ] = "csv",
    insecure: Insecure = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was recorded as JSON.")] = False,
) -> None:
    """Record a link: bandwidth both ways and round trip, seen by bursts of a fraction of a second now and then.

    Run it with --listen on the far side, then with --target and -o on the near one. The far side answers whoever
    reaches it, in clear: beyond loopback it wants --insecure. Ctrl-C ends it early; the file is written now and then,
    so it also outlives a kill. `isthmus emulate-link --trace` and scenarios of `isthmus simulate` read it.
    """
    if bool(listen) == bool(target):
        raise InvalidInput("--target", "must be given, or --listen, not both", remedy="see `isthmus record --help`")
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT, too: a shell's background jobs start with it ignored
        signal.signal(number, _interrupt)
    if listen:
        _serve(*listen_address(listen, "--listen", insecure=insecure))
        return
    if output is None:
        raise InvalidInput("-o", "is missing", remedy="name the file to write, like -o link.csv")
    for path in trace_files(output, form):
        check_output(path, "-o")
    check_trace_files(output, form)
    pace = RecordingPace(
        parse_duration_s(duration, "--for"), parse_duration_s(every, "--every"), parse_size_bytes(budget, "--budget")
    )
    near = NearEnd(*parse_address(target, "--target"))
    near.connect()
    recording = Recording(output, form, _progress)
    _record(near, pace, recording)
    if not recording.samples:
        raise CloudUnavailable("nothing was recorded: it was ended before the first look was over")
    _report(recording.samples, recording.trace(), recording.save(), as_json)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _serve(host: str, port: int) -> None:
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise PortInUse(f"cannot listen on {format_address(host, port)}: {error.strerror}") from error
    print(f"ready: {format_address(*listener.getsockname()[:2])}", flush=True)
    try:
        FarEnd(listener, _progress).serve()
    except KeyboardInterrupt:
        return


def _record(near: NearEnd, pace: RecordingPace, recording: Recording) -> None:
    try:
        for sample in samples(near, pace):
            recording.add(sample)
            _progress(_line(sample))
    except KeyboardInterrupt:
        pass  # what there is is written
    finally:
        near.close()


def _line(sample: LinkSample) -> str:
    if sample.rtt_s is None:
        return f"{sample.time_s:7.1f} s  nothing came back"
    up, down = format_bandwidth(sample.uplink_bps), format_bandwidth(sample.downlink_bps)
    return f"{sample.time_s:7.1f} s  up {up}  down {down}  rtt {format_duration(sample.rtt_s)}"


def _report(seen: list[LinkSample], trace: LinkTrace, files: tuple[Path, ...], as_json: bool) -> None:
    spent_bytes = sum(sample.spent_bytes for sample in seen)
    span_s = seen[-1].time_s - seen[0].time_s
    rtt_s = trace.rtt_s
    if as_json:
        found = {
            "files": [str(path) for path in files],
            "samples": len(seen),
            "span_s": span_s,
            "bytes": spent_bytes,
            "uplink_bps": median(trace.uplink_bps),
            "downlink_bps": median(trace.downlink_bps),
            "rtt_s": rtt_s,
        }
        print(json.dumps(found))
        return
    every = f", one every {format_duration(span_s / (len(seen) - 1))}" if len(seen) > 1 else ""
    print(f"wrote {' and '.join(map(str, files))}: {len(seen)} looks{every}, {format_size(spent_bytes)} sent")
    up, down = format_bandwidth(median(trace.uplink_bps)), format_bandwidth(median(trace.downlink_bps))
    print(f"medians: up {up}, down {down}, rtt {'unknown' if rtt_s is None else format_duration(rtt_s)}")


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
