"""Requests of a small real model while replicas are killed, stopped, drained and the link is cut, stalled and
throttled, all at random: how many are lost, wrong or answered twice. Each has a deadline of 2 s.

Lost is a request that ends in no answer: any error counts, the deadline's too, as the edge can always finish. Wrong is
an answer that differs from the whole model's in one bit. Three replicas behind one emulated link, an edge (four
times slowed, so that another replica is sometimes the sooner way on), eight clients that each ask one after the other.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median

from benchmarks.figure import Figure, bootstrap, machine, parse_options, report
from benchmarks.judged_requests import Asked
from benchmarks.node_process import NodeProcess
from benchmarks.outage_site import OutageSite, outage_site
from simulations.link_emulator import LinkShape

__all__ = ["Chaos", "run_chaos"]

BOUNDARY, REPLICAS, CLIENTS, DEADLINE_S = 512, 3, 8, 2.0
SHAPE, SLOW = LinkShape(200e6, 200e6, 0.002), LinkShape(2e6, 2e6, 0.05)
LONGEST_BATCH = 8
DEPTH, SLOWDOWN = 8, 4.0


@dataclass
class Chaos:
    """What happened. faults: how often each; ends: when each was over, on the monotonic clock."""

    asked: list[Asked] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    ends: list[float] = field(default_factory=list)
    counts: dict[str, object] = field(default_factory=dict)
    took_s: float = 0.0

    @property
    def lost(self) -> list[str]:
        """The errors."""
        return [one.error for one in self.asked if one.error]

    @property
    def wrong(self) -> int:
        """Answers that are not the whole model's."""
        return sum(not one.right for one in self.asked if not one.error)

    @property
    def duplicated(self) -> int:
        """Answers beyond one a request."""
        ids = [one.request_id for one in self.asked if not one.error]
        return len(ids) - len(set(ids))

    def recoveries_s(self) -> list[float]:
        """From the end of each fault to the next answer out of the cloud."""
        cloud = sorted(one.ended_s for one in self.asked if one.finished_by == "cloud")
        after = ([s for s in cloud if s >= end] for end in self.ends)
        return [found[0] - end for found, end in zip(after, self.ends, strict=True) if found]


class Faults:
    """One fault at a time, drawn at random."""

    def __init__(self, site: OutageSite, chaos: Chaos, seed: int) -> None:
        self._site, self._chaos, self._rng = site, chaos, random.Random(seed)

    async def forever(self) -> None:
        """Until cancelled."""
        kinds: tuple[Callable[[], Awaitable[None]], ...] = (
            self.kill, self.stop, self.drain, self.cut, self.stall, self.throttle,
        )  # fmt: skip
        while True:
            await asyncio.sleep(self._rng.uniform(0.1, 0.5))
            fault = self._rng.choice(kinds)
            await fault()
            self._chaos.faults[fault.__name__] += 1
            self._chaos.ends.append(time.monotonic())

    def _victim(self) -> NodeProcess:
        return self._rng.choice(self._site.replicas)

    def _pause(self) -> Awaitable[None]:
        return asyncio.sleep(self._rng.uniform(0.2, 1.5))

    async def kill(self) -> None:
        """SIGKILL, and a new process instead."""
        victim = self._victim()
        await victim.end(kill=True)
        await victim.start()

    async def drain(self) -> None:
        """An orderly end, and a new process instead."""
        victim = self._victim()
        await victim.end(kill=False)
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


async def run_chaos(requests: int, seed: int, least_faults: int = 1) -> Chaos:
    """So many requests under faults, and more until so many faults are over: how many fit depends on the machine."""
    chaos, source = Chaos(), random.Random(seed)
    async with outage_site(BOUNDARY, SHAPE, REPLICAS, depth=DEPTH, slowdown=SLOWDOWN) as site:
        for number in range(20):  # not counted: their inputs are those of the first requests
            await site.ask(number, 30.0)
        numbers = itertools.count()

        async def client() -> None:
            while (number := next(numbers)) < requests or chaos.faults.total() < least_faults:
                chaos.asked.append(await site.ask(number, DEADLINE_S, source.randint(1, LONGEST_BATCH)))

        faults, began_s = asyncio.create_task(Faults(site, chaos, seed).forever()), time.monotonic()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        chaos.took_s = time.monotonic() - began_s
        faults.cancel()
        await asyncio.gather(faults, return_exceptions=True)
        await asyncio.to_thread(site.link.restore)
        chaos.counts = dict(site.edge.node.counts())
    return chaos


def main() -> None:
    options = parse_options(__doc__ or "")
    requests = 8_000 if options.quick else 100_000
    chaos = asyncio.run(run_chaos(requests, options.seed))
    late = sum(dict(counts).get("executed_after_deadline", 0) for counts in chaos.counts.values())  # type: ignore[call-overload]
    failures = len(chaos.lost) + chaos.wrong + chaos.duplicated
    share = bootstrap([float(one.in_time) for one in chaos.asked], options.seed, lambda v: sum(v) / len(v))
    recoveries_s = sorted(chaos.recoveries_s())
    details = {
        "lost": f"{len(chaos.lost)} {dict(Counter(chaos.lost))}",
        "wrong": chaos.wrong,
        "answered twice": chaos.duplicated,
        "inside the deadline": f"{share.value:.5f} [{share.low:.5f}, {share.high:.5f}]",
        "finished by": dict(Counter(one.finished_by for one in chaos.asked)),
        "faults": dict(chaos.faults),
        "recovery": f"median {median(recoveries_s):.3f} s, longest {recoveries_s[-1]:.3f} s" if recoveries_s else "-",
        "edge's counts": chaos.counts,
        "rate": f"{len(chaos.asked) / chaos.took_s:.0f} requests/s in {chaos.took_s:.0f} s",
    }
    holds = failures == 0 and late == 0
    numbers = (float(failures), float(failures), float(failures), 0.0, len(chaos.asked), 0.0, holds)
    report(Figure("chaos", *numbers, machine(), options.seed, "holds" if holds else "missed", details), options)


if __name__ == "__main__":
    main()
