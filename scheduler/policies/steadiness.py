"""Which of the plans that predictions cannot tell apart to take: the one whose prediction is the surest.

The least of several uncertain predictions is the least by luck as often as by merit (the winner's curse). Where the
quickest plan wins by less than the spread of the difference, the steadier plan is as good on average, and its worst
requests are nearer to what was said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan_table import NO_CORRECTION
from scheduler.policies.prediction import Candidate

__all__ = ["MOST_GIVEN_UP", "NEAR_EQUAL", "Rival", "Steady", "steadiest"]

# Plans within 1 % of the best are as good, and below what a prediction can tell apart.
NEAR_EQUAL = 0.01
# However unsure the predictions are, no more of the best one's time is given up for a surer plan: a link that was not
# used lately is believed with a spread of 30 % and more, and would keep every request from it.
MOST_GIVEN_UP = 0.05


class Rival(NamedTuple):  # made for several plans at each request, in a third of the time of a frozen dataclass
    """A candidate and how far its prediction may be off: one standard deviation of each part, in seconds.

    own_s: of what is the plan's alone: both sides' times and its message's length. uplink_s, downlink_s: of its time on
    the wire by the believed rates. The link is the same for all plans, so that these are off together. The waits and
    what a request costs besides are left out: they are no plan's.
    """

    candidate: Candidate
    own_s: float
    uplink_s: float
    downlink_s: float

    @property
    def spread_s(self) -> float:
        """All parts together."""
        return math.hypot(self.own_s, self.uplink_s, self.downlink_s)

    def doubt_s(self, other: Rival) -> float:
        """How far the difference of both predictions may be off."""
        return math.hypot(self.own_s, other.own_s, self.uplink_s - other.uplink_s, self.downlink_s - other.downlink_s)


@dataclass(frozen=True, slots=True)
class Steady:
    """quickest: of all. surest: of those as good as it, the ones with the least spread."""

    quickest: Rival
    surest: tuple[Rival, ...]


def steadiest(among: Sequence[Candidate], request: ChoiceRequest, link: Link) -> Steady:
    """The quickest plan, and the surest of those as good: slower by no more than 1 %; or not split, and slower by no
    more than the spread of the difference, nor than MOST_GIVEN_UP.

    A split is never taken for its spread: two machines' times drift apart between measurements by more than repeats
    show, and not being worse than not splitting is the promise. Spreads are told apart where they differ by more than
    1 % of the quickest plan's time.
    """
    best = min(among, key=_total_s)
    best_s = best.total_s
    # Most plans are far off: only the few others are worth the arithmetic.
    few = [candidate for candidate in among if candidate.total_s <= best_s * (1 + MOST_GIVEN_UP)]
    quickest = _rival(best, request, link)
    if len(few) == 1:
        return Steady(quickest, (quickest,))
    rivals = [_rival(candidate, request, link) for candidate in few]
    as_good = [rival for rival in rivals if _is_as_good(rival, quickest)]
    most_s = min(rival.spread_s for rival in as_good) + NEAR_EQUAL * best_s
    return Steady(quickest, tuple(rival for rival in as_good if rival.spread_s <= most_s))


def _total_s(candidate: Candidate) -> float:
    return candidate.total_s


def _is_as_good(rival: Rival, quickest: Rival) -> bool:
    best_s = quickest.candidate.total_s
    slower_s = rival.candidate.total_s - best_s
    if slower_s <= NEAR_EQUAL * best_s:
        return True
    return rival.candidate.entry.plan.kind != "split" and slower_s <= rival.doubt_s(quickest)


def _rival(candidate: Candidate, request: ChoiceRequest, link: Link) -> Rival:
    plan, costs, said = candidate.entry.plan, candidate.entry.costs, candidate.predicted
    correction = request.corrections.get(plan.plan_id, NO_CORRECTION)
    edge_s = costs.edge.at(request.batch) * correction.edge * costs.edge_spread
    if plan.kind == "edge-only":
        return Rival(candidate, edge_s, 0.0, 0.0)
    cloud_s = costs.cloud.at(request.batch) * correction.cloud * costs.cloud_spread
    # Without the round trip, of which half is on either way.
    uplink_s, downlink_s = said.uplink_s - link.rtt_s / 2, said.downlink_s - link.rtt_s / 2
    contents_s = uplink_s * plan.uplink_spread / math.sqrt(request.batch)
    own_s = math.hypot(edge_s, cloud_s, contents_s)
    return Rival(candidate, own_s, uplink_s * request.uplink_spread, downlink_s * request.downlink_spread)
