"""What a node computes to prepare plans, where requests are computed: they wait for it as for one another."""

from __future__ import annotations

import asyncio
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
    """On one pool, one part at a time, so that what requests bring meanwhile waits for that one and not for all. A part
    is expected to take as long as the last one of its kind did."""

    def __init__(self, pool: ComputePool) -> None:
        self._pool = pool
        self._took_s: dict[Hashable, float] = {}
        self._turn = asyncio.Lock()
        self._part: _Part | None = None

    async def run(self, kind: Hashable, function: Callable[[], T]) -> T:
        """`function()` on the pool. kind: there must not be ever more of them. Raises what it does."""
        async with self._turn:
            part = self._part = _Part(kind)
            try:
                return await self._pool.run(partial(self._timed, part, function))
            finally:
                self._part = None

    def wait_s(self, now_s: float) -> float:
        """Until the part that has its turn is expected to have ended. now_s: on `time.monotonic`."""
        part = self._part
        if part is None:
            return 0.0
        expected_s = self._took_s.get(part.kind, FIRST_S)
        return expected_s if part.began_s is None else max(0.0, expected_s - (now_s - part.began_s))

    def _timed(self, part: _Part, function: Callable[[], T]) -> T:
        part.began_s = began_s = time.monotonic()
        made = function()
        self._took_s[part.kind] = time.monotonic() - began_s  # of what fails nothing is to be learned
        return made
