"""The frontier for throughput: at every bandwidth, the plan whose slowest stage is the quickest.

Edge, uplink, downlink and cloud are each busy with a request of their own, so a plan does one every max(compute_s,
wire_bits / bandwidth) seconds, compute_s being the slower side's. Of two plans that are the best somewhere one computes
less and the other one sends less: they are the Pareto optima of both, which weights need not find (a maximum is no
sum), so they are no part of the latency's frontier.

Of the plans found so far, ordered by what they send, the lower envelope over the bandwidth has a corner wherever one
plan's wire takes as long as the computing of the next one that sends less. What is better than the envelope anywhere
between these two is better in the corner too: it computes less than the one and sends less than the other. So a search
in every corner that finds nothing better proves the frontier, as cuts from outside do for a linear one
(`supported_cuts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from partitioner.condition import CostVector
from partitioner.constrained_choice import NothingInTime
from partitioner.cost_model import ModelFacts
from partitioner.link import Link
from partitioner.objectives import objective_for
from partitioner.parametric_problem import CutChoice
from partitioner.partition import best_choice, plan_of_choice
from partitioner.plain_json import STRICT, write_json
from partitioner.plan import InputForm, Plan
from partitioner.plan_making import provenance_of
from partitioner.setting import Setting

__all__ = [
    "FASTEST_BPS",
    "SLOWEST_BPS",
    "Point",
    "ThroughputFrontier",
    "ThroughputPlan",
    "pareto_points",
    "throughput_frontier",
]

SLOWEST_BPS, FASTEST_BPS = 1e3, 1e12
_RELATIVE_ERROR = 1e-9


@dataclass(frozen=True, slots=True)
class ThroughputPlan:
    """A plan (without a prediction: it has no link) and its costs. compute_s: seconds of the busier side for one
    request, under the loads that were asked about. wire_bits: of the busier direction, the downlink's weighed with how
    much slower it is than the uplink. from_bps, to_bps: the uplinks on which it is the best."""

    __pydantic_config__ = STRICT
    plan: Plan
    costs: CostVector
    compute_s: float
    wire_bits: float
    from_bps: float
    to_bps: float

    def period_s(self, uplink_bps: float) -> float:
        """Seconds from one request to the next on an uplink of that bandwidth."""
        return max(self.compute_s, self.wire_bits / uplink_bps)


@dataclass(frozen=True, slots=True)
class ThroughputFrontier:
    """The best plan at every bandwidth from 1 kbit/s to 1 Tbit/s, the slowest first; their ranges touch.

    downlink_ratio: uplink over downlink bandwidth, for which it holds. gap: how much quicker a plan could be somewhere,
    as a share of its period; 0.0: proven.
    """

    __pydantic_config__ = STRICT
    model: str
    model_digest: str
    form: InputForm
    downlink_ratio: float
    gap: float
    plans: tuple[ThroughputPlan, ...]
    provenance: Mapping[str, str] = field(default_factory=dict, hash=False)

    def best(self, uplink_bps: float) -> ThroughputPlan:
        """The plan with the shortest period."""
        return min(self.plans, key=lambda one: one.period_s(uplink_bps))

    def to_json(self) -> str:
        """For other programs; bandwidths in bits per second."""
        return write_json(self)


def throughput_frontier(
    model: ModelFacts, setting: Setting, is_over: Callable[[], bool] = lambda: False
) -> ThroughputFrontier:
    """The frontier of `model` between the devices of `setting` for throughput, budgets and other rules kept.

    Of its link only the ratio of the bandwidths counts; the loads in its costing do. is_over: asked now and then; once
    it says so, what is not proven yet goes into the gap. Raises InfeasibleCut as `best_plan` does.
    """
    ratio = setting.link.uplink_bps / setting.link.downlink_bps
    search = _Search(model, setting, ratio, is_over)
    ends = (search.at(SLOWEST_BPS), search.better_at(FASTEST_BPS))
    found = pareto_points(filter(None, ends), search.better_at)
    corners = (_corner_bps(less, more) for less, more in pairwise(found))
    edges = [SLOWEST_BPS, *(min(max(bps, SLOWEST_BPS), FASTEST_BPS) for bps in corners), FASTEST_BPS]
    ranged = zip(found, pairwise(edges), strict=True)
    plans = tuple(_plan(model, setting, one, *between) for one, between in ranged if between[0] < between[1])
    provenance = {**provenance_of(model, setting), "link": f"any; uplink {ratio:g} times as fast as the downlink"}
    return ThroughputFrontier(model.name, model.digest, setting.costing.form, ratio, search.gap, plans, provenance)


@dataclass(frozen=True, slots=True)
class Point:
    """A choice with what decides its throughput; see ThroughputPlan."""

    choice: CutChoice
    compute_s: float
    wire_bits: float

    def period_s(self, uplink_bps: float) -> float:
        """Seconds from one request to the next."""
        return max(self.compute_s, self.wire_bits / uplink_bps)


def _plan(model: ModelFacts, setting: Setting, one: Point, from_bps: float, to_bps: float) -> ThroughputPlan:
    plan = replace(plan_of_choice(model, setting, one.choice), predicted=None, provenance={})
    return ThroughputPlan(plan, one.choice.costs, one.compute_s, one.wire_bits, from_bps, to_bps)


@dataclass(slots=True)
class _Search:
    """Asks for the best choice at a bandwidth, and keeps the largest gap of the answers: all of a period where the time
    was over before one was found."""

    model: ModelFacts
    setting: Setting
    ratio: float
    is_over: Callable[[], bool]
    gap: float = 0.0

    def at(self, uplink_bps: float) -> Point:
        link = Link(uplink_bps, uplink_bps / self.ratio, self.setting.link.rtt_s)
        setting = replace(self.setting, link=link)
        found = best_choice(self.model, setting, objective_for("throughput", setting), self.is_over)
        assert found.choice is not None
        self.gap = max(self.gap, found.gap)
        return self._known(found.choice)

    def better_at(self, uplink_bps: float) -> Point | None:
        """The same beside others that are known; None where the time is over before one is found."""
        try:
            return self.at(uplink_bps)
        except NothingInTime:
            self.gap = 1.0
            return None

    def _known(self, choice: CutChoice) -> Point:
        costs, costing = choice.costs, self.setting.costing
        compute_s = max(costing.edge_load * costs.edge_s, costing.cloud_load * costs.cloud_s)
        return Point(choice, compute_s, 8 * max(costs.uplink_bytes, self.ratio * costs.downlink_bytes))


def pareto_points(ends: Iterable[Point], best_at: Callable[[float], Point | None]) -> list[Point]:
    """The choices that are the best somewhere, those that send least first. ends: the best ones on the slowest and the
    fastest uplink; best_at: the best on such an uplink, None where it could not be found."""
    known = _pareto(list(ends))
    checked: set[float] = set()
    while (corner := next(_unchecked(known, checked), None)) is not None:
        bps, period_s = corner
        checked.add(bps)
        found = best_at(bps)
        if found is not None and found.period_s(bps) < period_s * (1 - _RELATIVE_ERROR):
            known = _pareto([*known, found])
    return known


def _unchecked(known: list[Point], checked: set[float]) -> Iterator[tuple[float, float]]:
    """Corners of the envelope between the slowest and the fastest bandwidth: where, and the period there."""
    for less, more in pairwise(known):
        bps = _corner_bps(less, more)
        if SLOWEST_BPS < bps < FASTEST_BPS and bps not in checked:
            yield bps, less.compute_s


def _corner_bps(less: Point, more: Point) -> float:
    """Where the wire of the one that sends more takes as long as the computing of the one that sends less: above it
    the first is the better one."""
    return more.wire_bits / less.compute_s


def _pareto(found: list[Point]) -> list[Point]:
    """Those that no other one beats in both; of equals the first."""
    kept: list[Point] = []
    for one in sorted(found, key=lambda one: (one.wire_bits, one.compute_s)):
        if not kept or one.compute_s < kept[-1].compute_s:
            kept.append(one)
    return kept
