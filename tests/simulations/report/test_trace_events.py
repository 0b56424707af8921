"""A run as trace events: what a viewer needs of each, nothing drawn over another, bounded."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from isthmus.errors import InvalidQuantity
from simulations.report.trace_events import Excerpt, trace_events
from simulations.run_record import EndedRequest, RunFacts, RunRecorder, Series
from tests.simulations.runs import made_run

Event = dict[str, Any]


def events_of(excerpt: Excerpt) -> list[Event]:
    found: list[Event] = json.loads(excerpt.text)["traceEvents"]
    return found


def test_every_event_has_what_the_format_asks_for() -> None:
    for event in events_of(trace_events(made_run(1))):
        assert event["ph"] in ("M", "X", "i", "C")
        assert isinstance(event["name"], str)
        assert event["name"]
        assert isinstance(event["ts"], float | int)
        assert event["ts"] >= 0
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["ph"] != "X" or event["dur"] > 0
        assert event["ph"] != "i" or event["s"] in ("g", "p", "t")
        assert event["ph"] != "C" or all(isinstance(value, float) for value in event["args"].values())
        assert event["ph"] != "M" or event["args"]


def test_every_process_and_track_has_a_name() -> None:
    events = events_of(trace_events(made_run(1)))
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    assert {(event["pid"], event["tid"]) for event in events if event["ph"] in "Xi"} == named
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {"edge shop-0", "edge shop-1", "link lte", "replica replica-0", "fleet samples"}


def test_slices_of_a_track_do_not_overlap() -> None:
    tracks: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in events_of(trace_events(made_run(1))):
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append(event)
    assert len(tracks) > 5
    for slices in tracks.values():
        end_us = 0.0
        for one in sorted(slices, key=lambda event: float(event["ts"])):
            assert one["ts"] >= end_us - 0.002  # microseconds are written to the nanosecond
            end_us = one["ts"] + one["dur"]


def test_the_slices_of_a_request_follow_each_other_and_sum_to_its_time() -> None:
    run = made_run(1)
    by_request: dict[int, list[Event]] = defaultdict(list)
    for event in events_of(trace_events(run)):
        if event["ph"] == "X":
            by_request[event["args"]["request"]].append(event)
    for number, slices in by_request.items():
        assert slices[0]["ts"] == pytest.approx(1e6 * float(run.requests.time_s[number]), abs=0.002)
        for one, following in pairwise(slices):
            assert following["ts"] == pytest.approx(one["ts"] + one["dur"], abs=0.002)
        assert sum(one["dur"] for one in slices) == pytest.approx(1e3 * slices[0]["args"]["took_ms"], abs=1.0)


def test_a_refusal_is_an_instant_with_its_reason() -> None:
    instants = [event for event in events_of(trace_events(made_run(1))) if event["ph"] == "i"]
    assert {event["name"] for event in instants} == {"refused shed"}


@pytest.mark.parametrize("most", [1, 50, 500])
def test_it_holds_no_more_than_asked_for_and_says_what_it_left_out(most: int) -> None:
    excerpt = trace_events(made_run(1), from_s=10.0, most=most)
    events = [event for event in events_of(excerpt) if event["ph"] != "M"]
    assert len(events) <= most
    assert all(event["ts"] >= 10e6 for event in events)
    assert excerpt.requests < excerpt.all_requests == 600
    said = json.loads(excerpt.text)["otherData"]["holds"]
    assert said.startswith(f"{excerpt.requests} of 600 requests: those that arrived from 10 s until ")


def test_samples_are_bounded_too() -> None:
    recorder = RunRecorder()
    recorder.add(EndedRequest(1.0, 0.1, edge_s=0.1, edge="shop"))
    for number in range(100):
        recorder.sample(Series("replicas", "cloud"), number / 100, 1.0)
    events = events_of(trace_events(recorder.finish(RunFacts("shop", 1, 2.0)), most=10))
    assert [event["ph"] for event in events if event["ph"] != "M"].count("C") == 9
    assert sum(event["ph"] == "X" for event in events) == 1


def test_requests_are_whole_or_left_out() -> None:
    whole = events_of(trace_events(made_run(1), from_s=10.0))
    part = events_of(trace_events(made_run(1), from_s=10.0, most=200))
    requests = {event["args"]["request"] for event in part if event["ph"] == "X"}
    assert sum(event["ph"] == "X" for event in part) == sum(
        event["ph"] == "X" and event["args"]["request"] in requests for event in whole
    )


def test_what_is_left_of_a_wait_that_was_none_is_no_slice() -> None:
    recorder = RunRecorder()
    recorder.add(EndedRequest(1.0, 0.1, edge_queue_s=1e-17, edge_s=0.1, edge="shop"))
    events = events_of(trace_events(recorder.finish(RunFacts("shop", 1, 2.0))))
    assert [event["name"] for event in events if event["ph"] == "X"] == ["edge"]


def test_room_for_nothing_is_refused() -> None:
    with pytest.raises(InvalidQuantity, match="trace events"):
        trace_events(made_run(1), most=0)
