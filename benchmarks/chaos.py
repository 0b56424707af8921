"""Requests of a small real model while replicas are killed, stopped, drained and the link is cut, stalled and
throttled, all at random: how many are lost, wrong, answered twice or computed twice. Each has a deadline of 2 s. Then
the same of a model that only the cloud may finish, with a deadline of 15 s, while replicas are killed, stopped, cut
off, and made to forget the model and its plans for another one.

Lost is a request that ends in no answer: any error counts, the deadline's too, as the edge can always finish, and
requests that only the cloud may finish wait for it. Of these, what is refused before anything was done, as no plan is
predicted to end in time, is told apart, and may be one in a hundred; who is refused asks again a moment later. Wrong is
an answer that differs from the whole model's by more than batching rounds. Answered twice is told by the ids of the
clients' own that a quarter of them, which share one `ModelStreamInfer`, give their requests. Computed twice are
suffixes that replicas say they executed beyond one for each time that a request was sent (what those that are killed
execute at last is not told). Three replicas behind one emulated link, an edge (four times slowed, so that another
replica is sometimes the sooner way on), eight clients that each ask one after the other.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.chaos_faults import ANY_MODEL, CLOUD_REQUIRED, SHAPE, Faults
from benchmarks.figure import Figure, bootstrap, machine, parse_options, report
from benchmarks.judged_requests import Asked
from benchmarks.outage_site import OutageSite, outage_site
from benchmarks.streamed_requests import streamed_requests

__all__ = ["Chaos", "run_chaos"]

BOUNDARY, REPLICAS, CLIENTS, STREAMED = 512, 3, 8, 2
DEADLINE_S, REQUIRED_DEADLINE_S = 2.0, 15.0
LONGEST_BATCH, WARM = 8, 20
DEPTH, SLOWDOWN = 8, 4.0
REQUESTS, REQUIRED = 90_000, 10_000
QUICK_REQUESTS, QUICK_REQUIRED = 5_000, 1_200
MOST_REFUSED, AGAIN_S = 0.01, 0.1
REFUSAL = "are left and the quickest plan takes"
Ask = Callable[[int, float, int], Coroutine[Any, Any, Asked]]


@dataclass
class Chaos:
    """What happened. required: whether only the cloud may finish. faults: how often each; ends: when each was over, on
    the monotonic clock. warm: requests before the faults. duplicated: answers beyond one a request. edge, cloud: what
    became of the work, as the nodes say."""

    required: bool = False
    asked: list[Asked] = field(default_factory=list)
    warm: list[Asked] = field(default_factory=list)
    duplicated: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ends: list[float] = field(default_factory=list)
    edge: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    cloud: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0

    @property
    def lost(self) -> list[str]:
        """The errors, without their numbers."""
        return [re.sub(r"[0-9.]+", "#", one.error) for one in self.asked if one.error and not self._may_refuse(one)]

    @property
    def refused(self) -> int:
        """Requests that only the cloud may finish, refused before anything was done."""
        return sum(map(self._may_refuse, self.asked))

    def _may_refuse(self, one: Asked) -> bool:
        return self.required and REFUSAL in one.error

    @property
    def wrong(self) -> int:
        """Answers that are not the whole model's."""
        return sum(not one.right for one in self.asked if not one.error)

    @property
    def sent(self) -> int:
        """How often a request was sent to a replica, at most: each sending ended in the cloud's answer, an error or
        another way on."""
        ended = sum(one.finished_by == "cloud" or bool(one.error) for one in (*self.warm, *self.asked))
        went_on = self.edge["requests"]
        return ended + went_on["resent"] + went_on["resumed_on_edge"] + went_on["hedged"]

    @property
    def computed_twice(self) -> int:
        """Suffixes that replicas say they executed beyond one a sending."""
        return max(0, self.cloud["executed"] - self.sent)

    @property
    def late(self) -> int:
        """What was executed after its deadline, on either side."""
        here = sum(counts.get("executed_after_deadline", 0) for counts in self.edge.values())
        return here + self.cloud["executed_after_deadline"]

    @property
    def failures(self) -> int:
        """What must not be."""
        return len(self.lost) + self.wrong + self.duplicated + self.computed_twice

    def recoveries_s(self) -> list[float]:
        """From the end of each fault to the next answer out of the cloud."""
        cloud = sorted(one.ended_s for one in self.asked if one.finished_by == "cloud")
        after = ([s for s in cloud if s >= end] for end in self.ends)
        return [found[0] - end for found, end in zip(after, self.ends, strict=True) if found]

    def details(self, seed: int) -> dict[str, object]:
        """For people."""
        share = bootstrap([float(one.in_time) for one in self.asked], seed, lambda v: sum(v) / len(v))
        recoveries_s = sorted(self.recoveries_s())
        return {
            "requests": f"{len(self.asked)}, {len(self.asked) / self.took_s:.0f} a second in {self.took_s:.0f} s",
            "lost": f"{len(self.lost)} {dict(Counter(self.lost))}",
            "refused at once": self.refused,
            "wrong": self.wrong,
            "answered twice": self.duplicated,
            "computed twice": f"{self.computed_twice}; {self.cloud['executed']} executed as told, {self.sent} sent",
            "inside the deadline": f"{share.value:.5f} [{share.low:.5f}, {share.high:.5f}]",
            "finished by": dict(Counter(one.finished_by for one in self.asked)),
            "faults": dict(self.faults),
            "recovery": f"median {median(recoveries_s):.3f} s, longest {recoveries_s[-1]:.3f} s"
            if recoveries_s else "-",
            "edge's counts": dict(self.edge),
        }  # fmt: skip


async def run_chaos(requests: int, seed: int, least_faults: int = 1, *, required: bool = False) -> Chaos:
    """So many requests under faults, and more until so many faults are over: how many fit depends on the machine.
    required: of the model that only the cloud may finish."""
    chaos = Chaos(required)
    async with outage_site(BOUNDARY, SHAPE, REPLICAS, depth=DEPTH, slowdown=SLOWDOWN, required=required) as site:
        for number in range(WARM):  # not judged: their inputs are those of the first requests
            chaos.warm.append(await site.ask(number, 30.0))
        faults = Faults(site, CLOUD_REQUIRED if required else ANY_MODEL, seed)
        chaos.faults, chaos.ends = faults.seen, faults.ends
        breaking, began_s = asyncio.create_task(faults.until_over()), time.monotonic()
        await _ask_all(site, chaos, requests, least_faults, seed, REQUIRED_DEADLINE_S if required else DEADLINE_S)
        chaos.took_s = time.monotonic() - began_s
        faults.over = True
        await breaking
        chaos.cloud = Counter(faults.ended)
        for replica in site.replicas:
            chaos.cloud.update(await site.work(replica))
        chaos.edge = {what: dict(counts) for what, counts in site.edge.node.counts().items()}
    return chaos


async def _ask_all(
    site: OutageSite, chaos: Chaos, requests: int, least_faults: int, seed: int, deadline_s: float
) -> None:
    numbers, source = itertools.count(), random.Random(seed)

    async def client(ask: Ask) -> None:
        while (number := next(numbers)) < requests or chaos.faults.total() < least_faults:
            chaos.asked.append(await ask(number, deadline_s, source.randint(1, LONGEST_BATCH)))
            if chaos.asked[-1].error:
                await asyncio.sleep(AGAIN_S)

    async with streamed_requests(site.edge.address, site.model) as streamed:
        asks: tuple[Ask, ...] = (streamed.ask,) * STREAMED + (site.ask,) * (CLIENTS - STREAMED)
        await asyncio.gather(*map(client, asks))
    chaos.duplicated = streamed.duplicated


def main() -> None:
    options = parse_options(__doc__ or "")
    requests, required = (QUICK_REQUESTS, QUICK_REQUIRED) if options.quick else (REQUESTS, REQUIRED)
    finishing = asyncio.run(run_chaos(requests, options.seed))
    only_cloud = asyncio.run(run_chaos(required, options.seed, required=True))
    failures = finishing.failures + only_cloud.failures
    few = only_cloud.refused <= MOST_REFUSED * len(only_cloud.asked)
    holds = failures == 0 and few and finishing.late == only_cloud.late == 0
    details = finishing.details(options.seed)
    details |= {f"only the cloud may finish: {key}": said for key, said in only_cloud.details(options.seed).items()}
    asked = len(finishing.asked) + len(only_cloud.asked)
    numbers = (float(failures), float(failures), float(failures), 0.0, asked, 0.0, holds)
    report(Figure("chaos", *numbers, machine(), options.seed, "holds" if holds else "missed", details), options)


if __name__ == "__main__":
    main()
