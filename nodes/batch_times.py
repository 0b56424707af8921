"""t(B): how long a batch takes, as measured. Pure data: nodes measure it, the batcher and the simulator go by it."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BatchTimes", "saves_enough", "sizes_above_two"]

# Two at once must save this share of the time of two, or nothing is batched: less is noise beside other load, and not
# worth a longer wait.
LEAST_GAIN = 0.05
_MOST_KEPT = 1024


def saves_enough(one_s: float, two_s: float) -> bool:
    """Whether batches are to be made at all, by the times of one item and of two."""
    return two_s <= 2 * one_s * (1 - LEAST_GAIN)


def sizes_above_two(most: int) -> tuple[int, ...]:
    """The larger sizes of which a time is to be known: powers of two, and `most` itself."""
    powers = tuple(2**power for power in range(2, most.bit_length()) if 2**power < most)
    return (*powers, most) if most > 2 else ()


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """t(B): measured seconds by items, at least one size. No batch is made larger than what was measured.

    Between sizes the time is interpolated. Above the largest (one request may be) it grows as its own mean, below the
    smallest it is that one's.
    """

    seconds: tuple[tuple[int, float], ...]
    # By items and most: worked out once, as a replica asks at each change of its queue.
    _best: dict[tuple[int, int], int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = [size for size, _ in self.seconds]
        if not sizes or sizes != sorted(set(sizes)) or sizes[0] < 1:
            raise ValueError(f"sizes must rise from 1 or more: {sizes}")
        if not all(math.isfinite(took) and took >= 0 for _, took in self.seconds):
            raise ValueError(f"times must be finite and not negative: {self.seconds}")

    @classmethod
    def of(cls, seconds: Mapping[int, float]) -> BatchTimes:
        """Times by batch size."""
        return cls(tuple(sorted(seconds.items())))

    def plus_each(self, per_item_s: float) -> BatchTimes:
        """With so much more for every item, which no batch saves."""
        return self._derived([(size, took + per_item_s * size) for size, took in self.seconds])

    def with_rest(self, alone_s: float) -> BatchTimes:
        """Of all that requests take, where one item by itself takes `alone_s` in all: what is beside is done one by
        one. Where nothing is left beside, every time shrinks with the one."""
        rest_s = alone_s - self.at(1)
        return self.plus_each(rest_s) if rest_s >= 0 else self.scaled(alone_s / self.at(1))

    def up_to(self, most: int) -> BatchTimes:
        """As far as batches are made of at most so many items; of one only where two at once do not save enough."""
        if most < 2 or not saves_enough(self.at(1), self.at(2)):
            return BatchTimes.of({1: self.at(1)})
        sizes = {size: took for size, took in self.seconds if size <= most}
        return BatchTimes.of({1: self.at(1), **sizes, min(most, self.largest): self.at(min(most, self.largest))})

    def scaled(self, factor: float) -> BatchTimes:
        """Every time `factor` times as long."""
        return self._derived([(size, took * factor) for size, took in self.seconds])

    def paced(self, items: int, expected_s: float) -> BatchTimes:
        """Of the same shape, where so many items are now expected to take `expected_s`; 0 for as measured."""
        measured_s = self.at(items)
        return self.scaled(expected_s / measured_s) if expected_s > 0 and measured_s > 0 else self

    @staticmethod
    def _derived(seconds: list[tuple[int, float]]) -> BatchTimes:
        """Sizes that were checked, with other times: a request makes two, and checking took most of it."""
        made = object.__new__(BatchTimes)
        object.__setattr__(made, "seconds", tuple(seconds))
        object.__setattr__(made, "_best", {})
        return made

    @property
    def largest(self) -> int:
        """The largest size that was measured."""
        return self.seconds[-1][0]

    def least_s(self, items: int) -> float:
        """Seconds for so many items at the pace of the best batch: what they cost an engine that has plenty to do."""
        return items * min(took / size for size, took in self.seconds)

    def best_size(self, items: int, most: int) -> int:
        """Of so many items that wait, served m at a time, the mean one is done after t(m) (items / m + 1) / 2: the m
        with the least, of at most `most`."""
        key = items, most
        known = self._best.get(key)
        if known is None:
            if len(self._best) >= _MOST_KEPT:  # what waits is up to others, so there must be an end to it
                self._best.clear()
            sizes = range(1, max(1, min(items, most)) + 1)
            known = self._best[key] = min(sizes, key=lambda size: self.at(size) * (items / size + 1))
        return known

    def at(self, items: int) -> float:
        """Seconds for so many items."""
        size, took = self.seconds[0]
        if items <= size:  # mostly one
            return took
        position = bisect.bisect_left(self.seconds, (items,))
        if position == len(self.seconds):
            size, took = self.seconds[-1]
            return took * items / size
        size, took = self.seconds[position]
        if size == items:
            return took
        below, took_below = self.seconds[position - 1]
        return took_below + (took - took_below) * (items - below) / (size - below)
