"""Rates of the codecs that a replica did not time at its start, for somebody who plans with its profile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from nodes.compute_pool import ComputePool
from nodes.measure.codec_rates import RATED_CODEC_NAMES, measure_codec_rates
from partitioner.profiles import DeviceProfile

__all__ = ["CodecRating"]

MOST_S = 4.0  # who asks waits for ten seconds
BUDGET_S = 0.35  # for all codecs, as at the start; a picture codec takes longer for the few repeats that count
_POLL_S = 0.02


class CodecRating:
    """Times one codec after the other where the replica computes, each while nothing waits there: a request that comes
    meanwhile waits for one codec at most."""

    def __init__(self, pool: ComputePool, is_idle: Callable[[], bool], most_s: float = MOST_S) -> None:
        """most_s: after which what is not timed yet is left for the next who asks."""
        self._pool, self._is_idle, self._most_s = pool, is_idle, most_s
        self._turn = asyncio.Lock()

    async def completed(self, read: Callable[[], DeviceProfile], write: Callable[[DeviceProfile], None]) -> None:
        """Time what the profile lacks; each rate is written as it is there. Who asks meanwhile waits for the first."""
        async with self._turn:
            over_s = time.monotonic() + self._most_s
            for name in RATED_CODEC_NAMES:
                if name not in read().codec_rates:
                    while not self._is_idle() and time.monotonic() < over_s:  # noqa: ASYNC110 (nobody says when)
                        await asyncio.sleep(_POLL_S)
                    if time.monotonic() >= over_s:
                        return
                    rates = await self._pool.run(measure_codec_rates, BUDGET_S, (name,))
                    profile = read()
                    write(replace(profile, codec_rates={**profile.codec_rates, **rates}))
