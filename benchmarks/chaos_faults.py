"""The faults of `benchmarks/chaos.py`: one at a time, drawn at random."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Sequence

from benchmarks.node_process import NodeProcess
from benchmarks.outage_site import OutageSite
from isthmus.errors import IsthmusError
from simulations.link_emulator import LinkShape

__all__ = ["ANY_MODEL", "CLOUD_REQUIRED", "SHAPE", "Faults"]

SHAPE, SLOW = LinkShape(200e6, 200e6, 0.002), LinkShape(2e6, 2e6, 0.05)
ANY_MODEL = ("kill", "stop", "drain", "cut", "stall", "throttle")
CLOUD_REQUIRED = ("kill", "stop", "cut", "forget")


class Faults:
    """seen: how often each; ends: when each was over, on the monotonic clock. ended: what replicas had said of their
    work before they were ended."""

    def __init__(self, site: OutageSite, kinds: Sequence[str], seed: int) -> None:
        """kinds: names of methods. Each comes once before any comes again."""
        self._site, self._kinds, self._rng = site, kinds, random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.ends: list[float] = []
        self.ended: Counter[str] = Counter()
        self.over = False

    async def until_over(self) -> None:
        """One after the other until `over` is set; the last one is let come to its end."""
        first = self._rng.sample(self._kinds, len(self._kinds))
        while not self.over:
            await asyncio.sleep(self._rng.uniform(0.1, 0.5))
            kind = first.pop() if first else self._rng.choice(self._kinds)
            await getattr(self, kind)()
            self.seen[kind] += 1
            self.ends.append(time.monotonic())

    def _victim(self) -> NodeProcess:
        return self._rng.choice(self._site.replicas)

    def _pause(self) -> Awaitable[None]:
        return asyncio.sleep(self._rng.uniform(0.2, 1.5))

    async def kill(self) -> None:
        """SIGKILL, and a new process instead."""
        await self._replaced(kill=True)

    async def drain(self) -> None:
        """An orderly end, and a new process instead."""
        await self._replaced(kill=False)

    async def _replaced(self, *, kill: bool) -> None:
        victim = self._victim()
        self.ended.update(await self._site.work(victim))
        await victim.end(kill=kill)
        await victim.start()

    async def stop(self) -> None:
        """SIGSTOP, later SIGCONT."""
        victim = self._victim()
        victim.signal(signal.SIGSTOP)
        await self._pause()
        victim.signal(signal.SIGCONT)

    async def cut(self) -> None:
        """Every connection to every replica breaks, and no new one is let through."""
        await asyncio.to_thread(self._site.link.cut)
        await self._pause()
        await asyncio.to_thread(self._site.link.restore)

    async def stall(self) -> None:
        """Nothing moves on the link."""
        seconds = self._rng.uniform(0.2, 1.5)
        await asyncio.to_thread(self._site.link.stall, seconds)
        await asyncio.sleep(seconds)

    async def throttle(self) -> None:
        """A hundredth of the bandwidth, and a long round trip."""
        await asyncio.to_thread(self._site.link.set_shape, SLOW)
        await self._pause()
        await asyncio.to_thread(self._site.link.set_shape, SHAPE)

    async def forget(self) -> None:
        """A replica takes up another model, for which the edge's goes, and its plans with it."""
        with contextlib.suppress(IsthmusError):  # the edge's had work without a pause for all the time that it may take
            await self._site.forget(self._victim())
