"""What a decision log shows of both sides' compute: how far each request was from its plan's costs, and what it would
have taken by another plan.

By the plan that ran a request takes what it took. By another one it takes that plan's costs, times how far that plan's
requests usually were from them (those of all plans where it never ran: shrinkage towards the ensemble, as the live
estimator does it), times how far this very request was from what is usual: a slow moment stays slow, whatever runs in
it. Stages of a few hundred microseconds give no ratio; they and hand-overs are seconds besides.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

from partitioner.measurements import AffineTime
from partitioner.plan_table import PlanEntry
from simulations.replay.logged_request import LoggedRequest

__all__ = ["Compute", "DeviceHistory", "device_history"]

# A stage below this is noise of the scheduler, and its ratio says nothing.
_LEAST_S = 0.002
_NEAR = 6  # requests from which a moment is drawn where a request shows nothing of it
_UNKNOWN_S = 10.0  # so long a request without an answer may have kept the edge busy

Side = Callable[[LoggedRequest], tuple[float, AffineTime] | None]
"""What a request took on a side and that side's costs; None where it tells nothing of it."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Seconds of a request on one side, by any plan."""

    usual: Mapping[str, float]
    ensemble: float
    moments_s: tuple[float, ...]
    residuals: tuple[float, ...]

    @classmethod
    def of(cls, requests: Sequence[LoggedRequest], side: Side) -> Compute:
        """From what the requests show."""
        ratios: dict[str, list[float]] = {}
        found = list[tuple[float, str, float]]()
        for request in requests:
            ratio = _ratio(request, side)
            if ratio is not None and request.placed is not None:
                plan_id = request.placed.entry.plan.plan_id
                ratios.setdefault(plan_id, []).append(ratio)
                found.append((request.asked.came_s, plan_id, ratio))
        usual = {plan_id: median(of_plan) for plan_id, of_plan in ratios.items()}
        every = [one for of_plan in ratios.values() for one in of_plan]
        return cls(
            usual,
            median(every) if every else 1.0,
            tuple(came_s for came_s, _, _ in found),
            tuple(ratio / usual[plan_id] for _, plan_id, ratio in found),
        )

    def factor(self, plan_id: str, came_s: float) -> float:
        """What a request that came then takes by that plan, over the plan's costs."""
        return self.usual.get(plan_id, self.ensemble) * self._residual(came_s)

    def _residual(self, came_s: float) -> float:
        """Of the request that came then, or drawn from those about it: their median would leave out how they differ."""
        if not self.moments_s:
            return 1.0
        place = bisect_left(self.moments_s, came_s)
        if place < len(self.moments_s) and self.moments_s[place] == came_s:
            return self.residuals[place]
        first = max(0, min(place - _NEAR // 2, len(self.moments_s) - _NEAR))
        return Random(str(came_s)).choice(self.residuals[first : first + _NEAR])


def _ratio(request: LoggedRequest, side: Side) -> float | None:
    told = side(request)
    if told is None:
        return None
    took_s, costs = told
    said_s = costs.at(request.asked.batch)
    return took_s / said_s if took_s >= _LEAST_S and said_s >= _LEAST_S else None


@dataclass(frozen=True, slots=True)
class DeviceHistory:
    """besides_s: hand-overs of a request, by plan id; `besides_usual_s` of a plan that is not there."""

    edge: Compute
    cloud: Compute
    besides_s: Mapping[str, float]
    besides_usual_s: float

    def edge_s(self, request: LoggedRequest, entry: PlanEntry) -> float:
        """Until the boundary is made; all of it for edge-only."""
        return self._seconds(self.edge, entry.costs.edge, request, entry, _on_edge)

    def cloud_s(self, request: LoggedRequest, entry: PlanEntry) -> float:
        """Of the suffix in the cloud."""
        return self._seconds(self.cloud, entry.costs.cloud, request, entry, _in_cloud)

    def finish_s(self, request: LoggedRequest, entry: PlanEntry) -> float:
        """Of the suffix on the edge."""
        asked = request.asked
        return entry.costs.local_finish.at(asked.batch) * self.edge.factor(entry.plan.plan_id, asked.came_s)

    def uplink_bytes(self, request: LoggedRequest, entry: PlanEntry) -> int:
        """That cross to the cloud: as many as crossed, by the plan that ran."""
        said = entry.uplink_bytes(request.asked.batch, request.asked.file_bytes)
        one = request.outcome
        if one is None or not (request.crossed and _ran(request, entry)):
            return said
        return max(1, one.wire_bytes - entry.downlink_bytes(request.asked.batch))

    def besides(self, entry: PlanEntry) -> float:
        """Seconds of choosing and hand-overs."""
        return self.besides_s.get(entry.plan.plan_id, self.besides_usual_s)

    def _seconds(
        self, compute: Compute, costs: AffineTime, request: LoggedRequest, entry: PlanEntry, side: Side
    ) -> float:
        told = side(request) if _ran(request, entry) else None
        if told is not None:
            return told[0]
        return costs.at(request.asked.batch) * compute.factor(entry.plan.plan_id, request.asked.came_s)


def device_history(requests: Sequence[LoggedRequest]) -> DeviceHistory:
    """Of a run's requests, in the order in which they came."""
    by_plan: dict[str, list[float]] = {}
    for request in _alone(requests):
        assert request.placed is not None
        assert request.outcome is not None
        by_plan.setdefault(request.placed.entry.plan.plan_id, []).append(request.outcome.edge_queue_s)
    every = [one for of_plan in by_plan.values() for one in of_plan]
    return DeviceHistory(
        Compute.of(requests, _on_edge),
        Compute.of(requests, _in_cloud),
        {plan_id: median(of_plan) for plan_id, of_plan in by_plan.items()},
        median(every) if every else 0.0,
    )


def _alone(requests: Sequence[LoggedRequest]) -> list[LoggedRequest]:
    """Those that shared the edge with no other: their wait before the prefix is no queue."""
    alone, busy_until_s = list[LoggedRequest](), -math.inf
    coming_s = [one.asked.came_s for one in requests[1:]] + [math.inf]
    for request, next_s in zip(requests, coming_s, strict=True):
        if (
            request.answered
            and not request.resumed
            and request.asked.came_s > busy_until_s
            and next_s > request.ended_s
        ):
            alone.append(request)
        if request.placed is not None:
            unknown_s = request.asked.came_s + (request.asked.timeout_s or _UNKNOWN_S)
            busy_until_s = max(busy_until_s, request.ended_s if request.answered else unknown_s)
    return alone


def _ran(request: LoggedRequest, entry: PlanEntry) -> bool:
    return request.placed is not None and request.placed.entry.plan.plan_id == entry.plan.plan_id


def _on_edge(request: LoggedRequest) -> tuple[float, AffineTime] | None:
    """A resumed one's seconds hold its suffix, too."""
    if request.placed is None or request.outcome is None or not request.answered or request.resumed:
        return None
    return request.outcome.edge_s, request.placed.entry.costs.edge


def _in_cloud(request: LoggedRequest) -> tuple[float, AffineTime] | None:
    if request.placed is None or request.outcome is None or not request.crossed:
        return None
    return request.outcome.cloud_s, request.placed.entry.costs.cloud
