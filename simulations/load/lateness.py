"""Whether a load generator sent its requests when it meant to: its own delay must not be blamed on what it loads."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["Lateness", "LatenessSummary"]

LATE_S = 0.010
"""A request that leaves later than this is late: a hundredth of the deadlines that edges are held to."""
MOST_LATE = 0.01
"""... and of so large a share the generator has not kept its rate."""


@dataclass(frozen=True, slots=True)
class LatenessSummary:
    """Of requests that were meant to be sent: how many were, and how much later. outside_s: the mean of what the client
    saw beyond the edge's own elapsed time: messages, network and this generator; None without answers."""

    meant: int
    unsent: int
    late: int
    median_s: float
    p99_s: float
    worst_s: float
    outside_s: float | None

    @property
    def kept(self) -> bool:
        """Whether the generator kept its rate."""
        return self.unsent == 0 and self.late <= MOST_LATE * self.meant

    def __str__(self) -> str:
        """In one line."""
        outside = (
            "" if self.outside_s is None else f"; {self.outside_s * 1e3:.2f} ms of each answer lie outside the edge"
        )
        left = (
            f"{self.meant} requests left {self.median_s * 1e3:.2f} ms after their time in the median, "
            f"{self.p99_s * 1e3:.2f} ms at p99, {self.worst_s * 1e3:.1f} ms at most{outside}"
        )
        if self.kept:
            return f"the generator kept its rate: {left}"
        unsent = f", {self.unsent} did not leave at all" if self.unsent else ""
        return (
            f"THE GENERATOR COULD NOT KEEP ITS RATE: {left}{unsent}. The latencies hold its own delay; "
            "give it cores of its own, or more processes (--processes)"
        )

    def to_json(self) -> dict[str, object]:
        """For a pipe."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, object]) -> LatenessSummary:
        """Of `to_json`."""
        return LatenessSummary(**data)  # type: ignore[arg-type]  # our own words, from our own process


class Lateness:
    """Collects, request by request."""

    def __init__(self) -> None:
        self._late_s = array("d")
        self._unsent = 0
        self._outside_s, self._answered = 0.0, 0

    def sent(self, late_s: float) -> None:
        """A request left, so much after its time."""
        self._late_s.append(late_s)

    def not_sent(self) -> None:
        """One could not leave: too many are under way."""
        self._unsent += 1

    def answered(self, outside_s: float) -> None:
        """What one took beyond the edge's own time."""
        self._outside_s += outside_s
        self._answered += 1

    def summary(self) -> LatenessSummary:
        """Of all so far."""
        ordered = sorted(self._late_s) or [0.0]
        last = len(ordered) - 1
        # The nearest rank, in whole numbers: 0.99 times a multiple of 100 must not be rounded up.
        p99 = -(-99 * len(ordered) // 100) - 1
        return LatenessSummary(
            meant=len(self._late_s) + self._unsent,
            unsent=self._unsent,
            late=sum(late_s > LATE_S for late_s in self._late_s),
            median_s=ordered[last // 2],
            p99_s=ordered[p99],
            worst_s=ordered[last],
            outside_s=self._outside_s / self._answered if self._answered else None,
        )
