"""A cloud that stops without a word (SIGSTOP) when 40 % of an upload has crossed a link of 5 Mbit/s: what becomes of
the requests under way, ten at a time, each with a deadline of 2 s.

Held are: every request is answered, right and inside its deadline; each prefix is executed once; of what waits in the
cloud's buffers it executes nothing after SIGCONT, where that comes when the deadlines are over; what is kept stays
under its bound. Every other time SIGCONT comes before the deadlines: what the cloud answers then is late
and discarded once.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

import psutil

from benchmarks.figure import Figure, bootstrap, machine, parse_options, report
from benchmarks.judged_requests import Asked
from benchmarks.outage_site import OutageSite, outage_site
from simulations.link_emulator import LinkShape

BOUNDARY, LINK_BPS, DEADLINE_S, WAVE = 12_500, 5e6, 2.0, 10
UPLOAD_S = BOUNDARY * 4 * 8 / LINK_BPS  # 50 kB: 80 ms
GOES_ON_S = 1.7
KEPT_BYTES = 4_000_000


@dataclass
class Seen:
    """What clients and nodes saw. between: requests that only showed that the cloud answers again. revived: suffixes
    executed after SIGCONT although the deadlines were over."""

    asked: list[Asked] = field(default_factory=list)
    between: int = 0
    revived: int = 0
    recoveries_s: list[float] = field(default_factory=list)


async def executed(site: OutageSite) -> int:
    (connection,) = site.edge.node.replicas.connections
    return dict((await connection.describe()).counts)["executed"]


async def recovered(site: OutageSite, seen: Seen) -> None:
    """Returns once the cloud has answered three requests."""
    answered = 0
    while answered < 3:
        seen.between += 1
        answered += (await site.ask(-seen.between % 2**31, 30.0)).finished_by == "cloud"


async def wave(site: OutageSite, number: int, seen: Seen) -> None:
    """Ten requests, and a cloud that stops meanwhile."""
    before, began_s = await executed(site), time.monotonic()
    tasks = [asyncio.create_task(site.ask(number * WAVE + i, DEADLINE_S)) for i in range(WAVE)]
    await asyncio.sleep(0.4 * UPLOAD_S)
    site.replicas[0].signal(signal.SIGSTOP)
    early = number % 2 == 1
    await asyncio.sleep((GOES_ON_S if early else DEADLINE_S + 0.1) - (time.monotonic() - began_s))
    site.replicas[0].signal(signal.SIGCONT)
    went_on_s = time.monotonic()
    asked = await asyncio.gather(*tasks)
    await site.usable(1)
    seen.recoveries_s.append(time.monotonic() - went_on_s)
    seen.asked += asked
    if not early:
        seen.revived += await executed(site) - before - sum(one.finished_by == "cloud" for one in asked)
    await recovered(site, seen)


async def measure(waves: int) -> tuple[Seen, dict[str, object]]:
    shape, seen = LinkShape(LINK_BPS, LINK_BPS, 0.02), Seen()
    async with outage_site(BOUNDARY, shape, 1, kept_bytes=KEPT_BYTES) as site:
        await recovered(site, seen)
        seen.between = 0
        first, memory = site.edge.node.counts(), psutil.Process().memory_info().rss
        for number in range(waves):
            await wave(site, number, seen)
        counts, node = site.edge.node.counts(), site.edge.node
        (connection,) = node.replicas.connections
        facts: dict[str, object] = {
            "prefixes executed": counts["prefixes"]["executed"] - first["prefixes"]["executed"] - seen.between,
            "edge's requests": counts["requests"],
            "edge's suffixes": counts["suffixes"],
            "cloud's work": dict((await connection.describe()).counts),
            "kept at most": f"{node.kept.peak_bytes} of {KEPT_BYTES} bytes, {node.kept.held_bytes} at the end",
            "memory grew by": f"{(psutil.Process().memory_info().rss - memory) / 1e6:.1f} MB (edge and clients)",
        }
    return seen, facts


def main() -> None:
    options = parse_options(__doc__ or "")
    seen, facts = asyncio.run(measure(6 if options.quick else 20))
    n = len(seen.asked)
    good = [float(one.in_time and one.right) for one in seen.asked]
    share = bootstrap(good, options.seed, lambda values: sum(values) / len(values))
    once = facts["prefixes executed"] == n
    late = dict(facts["cloud's work"])["executed_after_deadline"]  # type: ignore[call-overload]
    holds = min(good) == 1.0 and once and seen.revived == 0 and late == 0
    details = facts | {
        "answered inside 2 s, right": f"{sum(good):.0f} of {n}",
        "finished by": dict(Counter(one.finished_by or one.error for one in seen.asked)),
        "distinct answers": len({one.request_id for one in seen.asked if one.request_id}),
        "executed by the cloud after the deadlines": seen.revived,
        "cloud used again after SIGCONT": f"median {sorted(seen.recoveries_s)[len(seen.recoveries_s) // 2]:.2f} s",
    }
    words = "holds" if holds else "missed"
    numbers = (share.value, share.low, share.high, 1.0, n, 1.0, holds)
    report(Figure("stall", *numbers, machine(), options.seed, words, details), options)


if __name__ == "__main__":
    main()
