"""How often to look at a link and with how many bytes, so that a budget of bytes lasts for the whole recording."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isthmus.errors import InvalidQuantity

__all__ = ["LEAST_BURST_BYTES", "MOST_BURST_BYTES", "RecordingPace", "burst_bytes", "next_burst_bytes"]

LEAST_BURST_BYTES = 16 << 10
MOST_BURST_BYTES = 4 << 20
# So long a burst takes the link, by what is believed of it: a tenth of a second at the line's rate, and in front of it
# as much in which TCP gets there: four round trips from its ten first packets to what most links hold.
_BURST_S = 0.2
_BURST_ROUND_TRIPS = 4.0
# A burst that saw a rate beyond this factor of what its length was meant for is followed by a longer one, at once.
_SURPRISE = 1.5
_GROWTH = 8


@dataclass(frozen=True, slots=True)
class RecordingPace:
    """duration_s: of the recording. every_s: the least time from one look to the next. budget_bytes: of all bursts,
    both ways. Raises InvalidQuantity where one of them is not above zero, or the budget is below a look of the least
    size."""

    duration_s: float
    every_s: float
    budget_bytes: int

    def __post_init__(self) -> None:
        for field, value in (("--for", self.duration_s), ("--every", self.every_s)):
            if not (math.isfinite(value) and value > 0):
                raise InvalidQuantity(field, "must be above zero", value=value)
        if self.budget_bytes < 2 * LEAST_BURST_BYTES:
            remedy = f"allow {2 * LEAST_BURST_BYTES} bytes at least"
            raise InvalidQuantity("--budget", "is too small to look once", value=self.budget_bytes, remedy=remedy)

    def next_look_s(self, began_s: float, look_bytes: int, spent_bytes: int) -> float | None:
        """When to look next, in seconds of the recording; None where it is over.

        began_s: when the last look began. look_bytes: what it took. The rest of the budget is shared evenly by what is
        left of the time, as long as looks take as much as the last one.
        """
        rest_bytes = self.budget_bytes - spent_bytes
        if rest_bytes < look_bytes:
            return None
        next_s = began_s + max(self.every_s, (self.duration_s - began_s) * look_bytes / rest_bytes)
        return next_s if next_s < self.duration_s else None


def burst_bytes(believed_bps: float, rtt_s: float) -> int:
    """How long a burst must be to show the rate of a link that is believed to have this one."""
    wanted = believed_bps / 8 * (_BURST_S + _BURST_ROUND_TRIPS * rtt_s)
    return int(min(MOST_BURST_BYTES, max(LEAST_BURST_BYTES, wanted)))


def next_burst_bytes(size_bytes: int, seen_bps: float, rtt_s: float, left_bytes: int) -> int | None:
    """How long the burst must be that follows one of `size_bytes` at once; None where it was long enough, or where
    what is left of the budget allows none that would say more."""
    longer = min(burst_bytes(seen_bps, rtt_s), _GROWTH * size_bytes, left_bytes)
    return longer if longer > _SURPRISE * size_bytes else None
