"""Which of the plans that predictions cannot tell apart to take: the one whose prediction is the surest.

The least of several uncertain predictions is the least by luck as often as by merit (the winner's curse). Where the
quickest plan wins by less than the spread of the difference, the steadier plan is as good on average, and its worst
requests are nearer to what was said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scheduler.policies.forecast import Forecast
from scheduler.policies.selection import NEAR_EQUAL

__all__ = ["MOST_GIVEN_UP", "Rival", "Steady", "rival_of", "steadiest"]

# However unsure the predictions are, no more of the best one's time is given up for a surer plan: a link that was not
# used lately is believed with a spread of 30 % and more, and would keep every request from it. 2 % is what never being
# worse than not splitting may cost 99 conditions of 100; what predictions err comes on top.
MOST_GIVEN_UP = 0.02


class Rival(NamedTuple):  # made for several plans at each request, in a third of the time of a frozen dataclass
    """A plan, by its number, and how far its prediction may be off: one standard deviation of each part, in seconds.

    own_s: of what is the plan's alone: both sides' times and its message's length. uplink_s, downlink_s: of its time on
    the wire by the believed rates. The link is the same for all plans, so that these are off together. The waits and
    what a request costs besides are left out: they are no plan's.
    """

    number: int
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


class Steady(NamedTuple):
    """quickest: the number of the quickest plan of all. surest: of those as good as it, the ones with the least spread.

    rivals: all that were weighed against each other; none where one plan is quicker than all others by far.
    """

    quickest: int
    surest: tuple[int, ...]
    rivals: tuple[Rival, ...] = ()

    def rival(self, number: int) -> Rival:
        """The plan of that number with its spread."""
        return next(rival for rival in self.rivals if rival.number == number)


def steadiest(forecast: Forecast, among: Sequence[int], total_s: Sequence[float]) -> Steady:
    """The quickest plan, and the surest of those as good: slower by no more than 1 %; or not split, and slower by no
    more than the spread of the difference, nor than MOST_GIVEN_UP. total_s: by what the quickest is the quickest.

    A split is never taken for its spread: two machines' times drift apart between measurements by more than repeats
    show, and not being worse than not splitting is the promise. Spreads are told apart where they differ by more than
    1 % of the quickest plan's time.
    """
    best_s = min([total_s[number] for number in among])
    # Most plans are far off: only the few others are worth the arithmetic.
    far_s = best_s * (1 + MOST_GIVEN_UP)
    few = [number for number in among if total_s[number] <= far_s]
    if len(few) == 1:
        return Steady(few[0], (few[0],))
    best = min(few, key=total_s.__getitem__)
    rivals = tuple([rival_of(forecast, number) for number in few])
    quickest = rivals[few.index(best)]
    as_good = [rival for rival in rivals if _is_as_good(forecast, total_s, rival, quickest)]
    most_s = min([rival.spread_s for rival in as_good]) + NEAR_EQUAL * best_s
    return Steady(best, tuple([rival.number for rival in as_good if rival.spread_s <= most_s]), rivals)


def _is_as_good(forecast: Forecast, total_s: Sequence[float], rival: Rival, quickest: Rival) -> bool:
    best_s = total_s[quickest.number]
    slower_s = total_s[rival.number] - best_s
    if slower_s <= NEAR_EQUAL * best_s:
        return True
    return not forecast.amounts.split[rival.number] and slower_s <= rival.doubt_s(quickest)


def rival_of(forecast: Forecast, number: int) -> Rival:
    """How far that plan's prediction may be off."""
    amounts, request, stage = forecast.amounts, forecast.request, forecast.stage
    row, (edge_spread, cloud_spread, length_spread) = amounts.row(number), amounts.spreads[number]
    uplink_s = (row[1] + row[6] * request.file_bytes) * stage.uplink_bytes
    own_s = math.hypot(row[0] * edge_spread, row[3] * cloud_spread, uplink_s * length_spread)
    downlink_s = row[2] * stage.downlink_bytes
    return Rival(number, own_s, uplink_s * request.uplink_spread, downlink_s * request.downlink_spread)
