"""Where a search splits: on an op or a codec that the cuts behind a bound disagree about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from partitioner.lagrange import Bound
from partitioner.parametric_problem import CutChoice
from partitioner.weighted_cuts import Pins

__all__ = ["Branching"]

_EVEN = 1e-6


@dataclass(frozen=True, slots=True)
class Branching:
    """ops: names in topological order. ways: how many each tensor has, up or down, by name."""

    ops: Sequence[str]
    before: Mapping[str, frozenset[str]]
    after: Mapping[str, frozenset[str]]
    ways: Mapping[str, int]

    def split(self, pins: Pins, bound: Bound) -> Iterator[Pins]:
        """Narrower pins that cover all cuts within `pins`; none where only one cut is left, which has been seen."""
        choices = [choice for choice, _ in bound.mixture] or list(bound.seen[-1:])
        op, way = self._disputed_op(pins, bound), None
        if op is None:
            way = self._open_way(pins, choices, disputed=True)
        if op is None and way is None:
            op = self._middle_of_rest(pins)
        if op is None and way is None:
            way = self._open_way(pins, choices, disputed=False)
        if op is not None:
            yield replace(pins, edge=pins.edge | self.before[op] | {op})
            yield replace(pins, cloud=pins.cloud | self.after[op] | {op})
        if way is not None:
            others = {(way[0], other) for other in range(self.ways[way[0]]) if other != way[1]}
            yield replace(pins, closed=pins.closed | others)
            yield replace(pins, closed=pins.closed | {way})

    def _share(self, op: str, bound: Bound) -> float:
        """How much of the mixture has the op on the edge."""
        total = sum(share for _, share in bound.mixture) or 1.0
        return round(sum(share for choice, share in bound.mixture if op in choice.edge_ops) / total, 9)

    def _disputed_op(self, pins: Pins, bound: Bound) -> str | None:
        """The op closest to half on the edge; of a row of equals the middle one."""
        free = [op for op in self.ops if op not in pins.edge and op not in pins.cloud]
        distance = {op: abs(self._share(op, bound) - 0.5) for op in free}
        least = min(distance.values(), default=0.5)
        closest = [op for op in free if distance[op] <= least + _EVEN]
        return closest[len(closest) // 2] if least < 0.5 - _EVEN else None

    def _middle_of_rest(self, pins: Pins) -> str | None:
        free = [op for op in self.ops if op not in pins.edge and op not in pins.cloud]
        return free[len(free) // 2] if free else None

    def _open_way(self, pins: Pins, choices: Sequence[CutChoice], *, disputed: bool) -> tuple[str, int] | None:
        """A way taken by one of the cuts where others are left; `disputed`: and another of the cuts takes another."""
        taken = list(dict.fromkeys((name, way) for choice in choices for name, way in _ways(choice).items()))
        names = [name for name, _ in taken]
        for name, way in taken:
            left = sum((name, other) not in pins.closed for other in range(self.ways[name]))
            if left > 1 and (names.count(name) > 1 or not disputed):
                return name, way
        return None


def _ways(choice: CutChoice) -> Mapping[str, int]:
    return {**choice.downlink, **choice.uplink}
