"""What a decision log shows of the link over time: its rate while something crossed, and what is unknown between.

A transfer shows the rate over its span; of those that crossed at once each had a part of the line, so that their
rates add up. A small request that crossed alone shows a rate by what it took beyond the round trip, where that can be
told from nothing. One that the edge finished in the end shows that no more than its bytes crossed while it waited:
whether the link or the replica was silent is not known, and makes no difference to it. Between two sightings nothing
is known: the nearest holds, or, for bounds, the slower or the faster of the two.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np

from isthmus.errors import InvalidRequest
from nodes.chooser import Exchange, Transfer
from scheduler.estimators.round_trip import RoundTripEstimator
from simulations.bandwidth_trace import BandwidthTrace
from simulations.replay.logged_request import LoggedRequest
from simulations.replay.logged_run import LoggedRun
from simulations.round_trips import RoundTrips

__all__ = ["FRESH_S", "Gaps", "LinkHistory", "Sighting", "link_history"]

Gaps = Literal["nearest", "slower", "faster"]

# Of a moment, the link counts as seen where something crossed within so many seconds of it.
FRESH_S = 1.0
# An answer and what was learned from it are told within this of each other.
_SAME_MOMENT_S = 0.05
# Of a small request's time beyond the round trip so much may be scheduling: see `scheduler.estimators.link`.
_DOUBT_SHARE, _DOUBT_S = 0.1, 0.001
_RTT_QUANTILE = 0.25  # above it are echoes that waited behind a chunk, or for a busy event loop
_LEAST_BPS, _AFTER_S = 1000.0, 86_400.0


class Sighting(NamedTuple):
    """The link carried `bps` from begin_s to end_s."""

    begin_s: float
    end_s: float
    bps: float


@dataclass(frozen=True, slots=True)
class LinkHistory:
    """up, down: disjoint, in their order. down is empty where nothing told of that way alone: it is taken as `up`.
    round_trips: as the edge believed them, by the echoes that had come back."""

    up: tuple[Sighting, ...]
    down: tuple[Sighting, ...]
    round_trips: RoundTrips

    def uplink(self, gaps: Gaps) -> BandwidthTrace:
        """With the unknown filled in that way."""
        return _filled(self.up, gaps)

    def downlink(self, gaps: Gaps) -> BandwidthTrace:
        """The same for the way back."""
        return _filled(self.down or self.up, gaps)

    def seen_share(self, moments_s: Sequence[float]) -> float:
        """Of these moments, the share that have a sighting of the way up within FRESH_S."""
        begins = [one.begin_s for one in self.up]
        return sum(self._fresh(moment_s, begins) for moment_s in moments_s) / len(moments_s) if moments_s else 0.0

    def _fresh(self, moment_s: float, begins: Sequence[float]) -> bool:
        place = bisect_right(begins, moment_s)
        before = place > 0 and moment_s - self.up[place - 1].end_s <= FRESH_S
        return before or (place < len(begins) and begins[place] - moment_s <= FRESH_S)


def link_history(run: LoggedRun) -> LinkHistory:
    """Raises InvalidRequest for a log in which nothing shows how fast the link is."""
    round_trips = _round_trips(run)
    ends = sorted((one.ended_s, number) for number, one in enumerate(run.requests) if one.crossed)
    transfers: dict[str, list[Sighting]] = {"up": [], "down": []}
    others = [_of_silence(one) for one in run.requests if one.resumed and one.outcome and one.outcome.sendings]
    for seen in run.seen:
        rtt_s = round_trips.at(seen.at_s)
        if isinstance(seen.what, Transfer) and seen.what.finished:
            transfers[seen.what.direction].append(
                _of_transfer(seen.what, seen.at_s, rtt_s, _answered(run, ends, seen.at_s))
            )
        elif isinstance(seen.what, Exchange):
            others += _of_exchange(seen.what, seen.at_s, rtt_s)
    up = _without_overlaps(_together(transfers["up"]), others)
    if not up:
        remedy = "give the log of an edge that had a cloud, and whose requests or probes crossed"
        raise InvalidRequest("log", "shows nothing of how fast the link is", remedy=remedy)
    return LinkHistory(tuple(up), tuple(_together(transfers["down"])), round_trips)


def _round_trips(run: LoggedRun) -> RoundTrips:
    """By the live estimator: what waited behind a chunk is left out, and a path that has changed is soon believed."""
    estimator, steps = RoundTripEstimator(), dict[float, float]()
    echoes = [(one.at_s, one.what) for one in run.seen if isinstance(one.what, float)]
    for at_s, rtt_s in echoes:
        estimator.observe(rtt_s, at_s)
        if (believed_s := estimator.estimate_s()) is not None:
            steps[at_s if steps else 0.0] = believed_s
    if not steps:
        raise InvalidRequest("log", "holds no round trip", remedy="give the log of an edge that had a cloud")
    (*_, last_s), (*_, held_s) = steps, steps.values()
    steps[last_s + _AFTER_S] = held_s
    usual_s = float(np.quantile([rtt_s for _, rtt_s in echoes], _RTT_QUANTILE))
    return RoundTrips(tuple(steps), tuple(steps.values()), usual_s)


def _answered(run: LoggedRun, ends: Sequence[tuple[float, int]], at_s: float) -> LoggedRequest | None:
    """The request whose answer told of it; None for a probe."""
    place = bisect_left(ends, (at_s, -1))
    near = [one for one in ends[max(0, place - 1) : place + 1] if abs(one[0] - at_s) <= _SAME_MOMENT_S]
    return run.requests[min(near, key=lambda one: abs(one[0] - at_s))[1]] if near else None


def _of_transfer(transfer: Transfer, at_s: float, rtt_s: float, request: LoggedRequest | None) -> Sighting:
    """What it showed, when it crossed: it is told of when the answer is in."""
    end_s = at_s - rtt_s
    if transfer.direction == "down":
        end_s = at_s
    elif request is not None and request.outcome is not None:
        end_s = request.sent_s + request.outcome.uplink_s - rtt_s / 2
    span_s = max(transfer.span_s, 1e-6)
    return Sighting(end_s - span_s, end_s, max(_LEAST_BPS, 8 * transfer.size_bytes / span_s))


def _of_exchange(exchange: Exchange, at_s: float, rtt_s: float) -> list[Sighting]:
    spare_s = exchange.wire_s - rtt_s
    if spare_s <= 2 * (_DOUBT_SHARE * rtt_s + _DOUBT_S):
        return []
    bps = 8 * (exchange.up_bytes + exchange.down_bytes) / spare_s
    return [Sighting(at_s - exchange.wire_s, at_s, max(_LEAST_BPS, bps))]


def _of_silence(request: LoggedRequest) -> Sighting:
    """While it was waited for in vain."""
    assert request.placed is not None
    assert request.outcome is not None
    finish_s = request.placed.entry.costs.local_finish.at(request.asked.batch)
    end_s = request.ended_s - min(finish_s, request.outcome.edge_s)
    waited_s = max(request.outcome.uplink_s, 1e-3)
    return Sighting(end_s - waited_s, end_s, max(_LEAST_BPS, 8 * request.outcome.wire_bytes / waited_s))


def _together(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Disjoint: where several crossed at once, the sum of their rates."""
    edges = sorted(edge for one in sightings for edge in ((one.begin_s, one.bps), (one.end_s, -one.bps)))
    moments = [(moment_s, [bps for _, bps in group]) for moment_s, group in groupby(edges, key=itemgetter(0))]
    made, under_way, bps = list[Sighting](), 0, 0.0
    for (begin_s, changes), (end_s, _) in pairwise(moments):
        under_way += sum(1 if change > 0 else -1 for change in changes)
        bps = math.fsum([bps, *changes]) if under_way else 0.0
        if under_way:
            made.append(Sighting(begin_s, end_s, bps))
    return made


def _without_overlaps(sure: list[Sighting], others: Iterable[Sighting]) -> list[Sighting]:
    """The sure ones, and those others that stand clear of them and of each other."""
    made = sorted(sure)
    ends = [-math.inf]
    for one in sorted(others):
        place = bisect_left(sure, one)
        before_s = sure[place - 1].end_s if place else -math.inf
        after_s = sure[place].begin_s if place < len(sure) else math.inf
        if one.begin_s >= max(before_s, ends[-1]) and one.end_s <= after_s:
            ends.append(one.end_s)
            made.append(one)
    return sorted(made)


def _filled(sightings: Sequence[Sighting], gaps: Gaps) -> BandwidthTrace:
    """As steps, from zero on; the last one holds."""
    steps = [(0.0, sightings[0].bps)]
    for one, following in pairwise(sightings):
        steps.append((one.begin_s, one.bps))
        if following.begin_s > one.end_s:
            steps += _gap(one, following, gaps)
    steps.append((sightings[-1].begin_s, sightings[-1].bps))
    steps.append((max(sightings[-1].end_s, 0.0) + _AFTER_S, sightings[-1].bps))
    later = [step for step in steps if step[0] > 0.0]
    first = [step for step in steps if step[0] <= 0.0][-1]
    distinct = dict([(0.0, first[1]), *later])
    return BandwidthTrace(tuple(distinct), tuple(distinct.values()))


def _gap(before: Sighting, after: Sighting, gaps: Gaps) -> list[tuple[float, float]]:
    if gaps == "nearest":
        return [(before.end_s, before.bps), ((before.end_s + after.begin_s) / 2, after.bps)]
    pick = min if gaps == "slower" else max
    return [(before.end_s, pick(before.bps, after.bps))]
