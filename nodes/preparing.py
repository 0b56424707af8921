"""What a node computes to prepare plans, where requests are computed: they wait for it as for one another."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from nodes.compute_pool import ComputePool

__all__ = ["FIRST_S", "PreparingWork"]

FIRST_S = 0.3
"""What a part of preparing is believed to take before one of its kind has run: two measurements by their budgets."""

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Part:
    kind: Hashable
    began_s: float | None = None


class PreparingWork:
    """On one pool. A part is expected to take as long as the last one of its kind did."""

    def __init__(self, pool: ComputePool) -> None:
        self._pool = pool
        self._took_s: dict[Hashable, float] = {}
        self._parts: set[_Part] = set()

    async def run(self, kind: Hashable, function: Callable[[], T]) -> T:
        """`function()` on the pool. kind: there must not be ever more of them. Raises what it does."""
        part = _Part(kind)
        self._parts.add(part)
        try:
            return await self._pool.run(partial(self._timed, part, function))
        finally:
            self._parts.discard(part)

    def wait_s(self, now_s: float) -> float:
        """Until the parts that run or wait there are expected to have ended. now_s: on `time.monotonic`."""
        return sum(self._left_s(part, now_s) for part in self._parts)

    def _left_s(self, part: _Part, now_s: float) -> float:
        expected_s = self._took_s.get(part.kind, FIRST_S)
        return expected_s if part.began_s is None else max(0.0, expected_s - (now_s - part.began_s))

    def _timed(self, part: _Part, function: Callable[[], T]) -> T:
        part.began_s = began_s = time.monotonic()
        made = function()
        self._took_s[part.kind] = time.monotonic() - began_s  # of what fails nothing is to be learned
        return made
