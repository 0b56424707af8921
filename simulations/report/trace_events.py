"""A run as trace events, for Perfetto and chrome://tracing: what every edge, link and replica did, request by request.

The JSON object form of the Trace Event Format: a process for each edge, link and replica; in it tracks for what works
and what waits, as many as overlap; a slice ("X", microseconds) for each stage of each request, an instant ("i") for
each refusal, and counters ("C") for what was sampled. A trace of a million requests is of no use to a viewer: requests
are taken in the order of arrival from a moment on, as many as there is room for, and the file says which were left out.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from isthmus.errors import InvalidQuantity
from simulations.run_record import STAGES, WITHOUT_ANSWER, Requests, RunRecord

__all__ = ["MOST_EVENTS", "Excerpt", "trace_events"]

MOST_EVENTS = 100_000

Event = dict[str, Any]
Place = Literal["edge", "link", "replica"]
# Where a stage is, and on which tracks there.
_STAGES: dict[str, tuple[Place, str]] = {
    "edge_queue_s": ("edge", "waits"),
    "edge_s": ("edge", "works"),
    "uplink_s": ("link", "up"),
    "cloud_queue_s": ("replica", "waits"),
    "cloud_s": ("replica", "works"),
    "downlink_s": ("link", "down"),
    "finish_s": ("edge", "finishes"),
}
# In the order in which a viewer shows them.
_TRACKS = {"counters": 0, "refused": 1, "works": 2, "finishes": 3, "up": 2, "down": 4, "waits": 5}
_KINDS = {"fleet": 0, "edge": 1, "link": 2, "replica": 3}
_LANES = 10_000


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What of the run is in the trace. requests of all_requests: those that arrived in [from_s, until_s)."""

    text: str
    requests: int
    all_requests: int
    from_s: float
    until_s: float


@dataclass(slots=True)
class _Process:
    """An edge, a link or a replica in the trace."""

    number: int
    kind: str
    name: str
    lanes: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    tracks: dict[int, str] = field(default_factory=dict)

    def lane(self, track: str, start_s: float, end_s: float) -> int:
        """The id of a track of that name on which nothing is drawn at `start_s`: the one that is free the longest."""
        free = self.lanes.setdefault(track, [])
        if free and free[0][0] <= start_s:
            number = heapq.heappop(free)[1]
        else:
            number = _TRACKS[track] * _LANES + len(free)
            self.tracks[number] = f"{track} #{len(free) + 1}" if free else track
        heapq.heappush(free, (end_s, number))
        return number


def trace_events(run: RunRecord, from_s: float | None = None, most: int = MOST_EVENTS) -> Excerpt:
    """The trace as JSON text. from_s: where it begins, at the end of the warm-up if None. most: slices, instants and
    counters in it. Raises InvalidQuantity where most is not above zero."""
    if most < 1:
        raise InvalidQuantity("trace events", "must be 1 or more", value=most)
    start_s = run.facts.warm_up_s if from_s is None else from_s
    first = int(np.searchsorted(run.requests.time_s, start_s))
    later = run.requests.where(slice(first, None))
    # Half of the room is kept for samples where there are so many.
    for_samples = min(most // 2, int(np.count_nonzero(run.samples.time_s >= start_s)))
    events_of = 1 + sum((getattr(later, stage) > 0.0).astype(np.int64) for stage in STAGES)
    taken = int(np.searchsorted(np.cumsum(events_of), most - for_samples, side="right"))
    everything = taken == len(later)
    until_s = run.facts.duration_s if everything else float(later.time_s[taken])
    processes: dict[tuple[str, str], _Process] = {}
    events = list(_slices(run, later.where(slice(0, taken)), first, processes))
    events += _counters(run, start_s, until_s, most - len(events), processes)
    events = [*_names(processes), *sorted(events, key=lambda event: float(event["ts"]))]
    left_out = f"{taken} of {len(run.requests)} requests: those that arrived from {start_s:g} s until {until_s:g} s"
    text = json.dumps(
        {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {"scenario": run.facts.scenario, "seed": run.facts.seed, "holds": left_out},
        },
        allow_nan=False,
    )
    return Excerpt(text, taken, len(run.requests), start_s, until_s)


def _process(processes: dict[tuple[str, str], _Process], kind: str, name: str) -> _Process:
    return processes.setdefault((kind, name), _Process(len(processes) + 1, kind, name))


def _slices(
    run: RunRecord, requests: Requests, first: int, processes: dict[tuple[str, str], _Process]
) -> Iterator[Event]:
    columns = {name: getattr(requests, name).tolist() for name in (*STAGES, "time_s", "took_s")}
    words = {
        name: [run.words[number] for number in getattr(requests, name).tolist()]
        for name in ("edge", "link", "replica", "client", "model", "plan", "outcome", "reason")
    }
    for place in range(len(requests)):
        about = {
            "request": first + place,
            **{key: words[key][place] for key in ("client", "model", "plan", "outcome", "reason") if words[key][place]},
            "took_ms": round(columns["took_s"][place] * 1e3, 3),
        }
        now_s = columns["time_s"][place]
        began_s = now_s
        for stage in STAGES:
            seconds = columns[stage][place]
            kind, track = _STAGES[stage]
            if _us(seconds) > 0.0:
                process = _process(processes, kind, words[kind][place])
                lane = process.lane(track, now_s, now_s + seconds)
                yield _event("X", _said(stage), now_s, process.number, lane, dur=_us(seconds), args=about)
            now_s += seconds
        if now_s == began_s or words["outcome"][place] in WITHOUT_ANSWER:
            process = _process(processes, "edge", words["edge"][place])
            ended_s = began_s + columns["took_s"][place]
            lane = process.lane("refused", ended_s, ended_s)
            name = f"{words['outcome'][place]} {words['reason'][place]}".strip()
            yield _event("i", name, ended_s, process.number, lane, s="t", args=about)


def _counters(
    run: RunRecord, from_s: float, until_s: float, room: int, processes: dict[tuple[str, str], _Process]
) -> Iterator[Event]:
    """The first samples of the time that the requests are of, as many as there is room for."""
    samples = run.samples
    places = np.flatnonzero((samples.time_s >= from_s) & (samples.time_s < until_s))
    for place in places[np.argsort(samples.time_s[places], kind="stable")][: max(0, room)]:
        series = run.series[samples.series[place]]
        process = _process(processes, "fleet", "samples")
        name, value = f"{series.measure} {series.of}".strip(), float(samples.value[place])
        yield _event("C", name, float(samples.time_s[place]), process.number, 0, args={series.measure: value})


def _names(processes: dict[tuple[str, str], _Process]) -> Iterator[Event]:
    for process in processes.values():
        called = f"{process.kind} {process.name}".strip()
        yield _event("M", "process_name", 0.0, process.number, 0, args={"name": called})
        yield _event("M", "process_sort_index", 0.0, process.number, 0, args={"sort_index": _KINDS[process.kind]})
        for number, name in sorted(process.tracks.items()):
            yield _event("M", "thread_name", 0.0, process.number, number, args={"name": name})
            yield _event("M", "thread_sort_index", 0.0, process.number, number, args={"sort_index": number})


def _event(phase: str, name: str, time_s: float, process: int, track: int, **more: Any) -> Event:
    return {"ph": phase, "name": name, "ts": _us(time_s), "pid": process, "tid": track, **more}


def _us(seconds: float) -> float:
    """Microseconds, to the nanosecond."""
    return round(seconds * 1e6, 3)


def _said(stage: str) -> str:
    return stage.removesuffix("_s").replace("_", " ")
