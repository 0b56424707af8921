"""How long do 1 kB requests take while 100 MB cross the same stream, on a link of 20 Mbit/s and 40 ms round trip?

The stream alone: an edge's client, and a replica in a process of its own that answers at once with 100 bytes; the link
is emulated. A small request leaves every 50 to 150 ms, with a deadline of 10 s; the large ones have 10 minutes. The
value is the 99th percentile beside the flow less the one alone, in ms; the floor is the same of two runs alone. The
goal is the time of 64 kB on that link and 5 ms. Beside it: the flow downwards, and both on loopback.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles

from benchmarks.figure import Figure, Interval, machine, parse_options, report
from benchmarks.stream_site import StreamSite, stream_site
from simulations.link_emulator import LinkShape

LINK = LinkShape(20e6, 20e6, 0.04)
SMALL_BYTES, ANSWER_BYTES, LARGE_BYTES = 1_000, 100, 100_000_000
GOAL_MS = 64_000 * 8 / LINK.uplink_bps * 1e3 + 5.0
WARM_UP, ALONE, RESAMPLES = 30, 100, 2000


@dataclass(frozen=True)
class Beside:
    """Milliseconds of small requests. carried: of the link, the share that the flow filled; 0.0 for no flow."""

    small_ms: list[float]
    carried: float = 0.0


def p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98]


async def small_ones(site: StreamSite, random: Random, until: asyncio.Event, most: int) -> list[float]:
    """Until that many are answered, or the event is set."""
    took_ms: list[float] = []
    tasks: list[asyncio.Task[None]] = []

    async def one() -> None:
        took_ms.append(1e3 * await site.exchange_s(SMALL_BYTES, ANSWER_BYTES, 10.0))

    while not until.is_set() and len(tasks) < most:
        tasks.append(asyncio.create_task(one()))
        await asyncio.sleep(random.uniform(0.05, 0.15))
    await asyncio.gather(*tasks)
    return took_ms


async def alone(site: StreamSite, random: Random, count: int) -> Beside:
    return Beside(await small_ones(site, random, asyncio.Event(), count))


async def beside_a_flow(site: StreamSite, random: Random, up_bytes: int, down_bytes: int, seconds: float) -> Beside:
    """Small requests while large ones follow each other for so long, and at least while one is under way."""
    over, began_s = asyncio.Event(), time.monotonic()
    small = asyncio.create_task(small_ones(site, random, over, 1 << 30))
    carried, large_s = 0, 0.0
    while time.monotonic() - began_s < seconds:
        large_s += await site.exchange_s(up_bytes, down_bytes, 600.0)
        carried += max(up_bytes, down_bytes)
    over.set()
    return Beside(await small, 8 * carried / large_s / LINK.uplink_bps)


def difference(a: Sequence[float], b: Sequence[float], seed: int) -> Interval:
    """p99 of `a` less p99 of `b`, with its percentile bootstrap interval."""
    source = Random(seed)

    def again(values: Sequence[float]) -> float:
        return p99(source.choices(values, k=len(values)))

    resampled = sorted(again(a) - again(b) for _ in range(RESAMPLES))
    return Interval(p99(a) - p99(b), resampled[int(0.025 * RESAMPLES)], resampled[int(0.975 * RESAMPLES)])


def words(seen: Beside) -> str:
    told = f"p99 {p99(seen.small_ms):.1f} ms, median {median(seen.small_ms):.1f} ms, n {len(seen.small_ms)}"
    return f"{told}, the flow filled {seen.carried:.0%} of 20 Mbit/s" if seen.carried else told


async def on(shape: LinkShape | None, random: Random, seconds: float, *, quick: bool) -> dict[str, Beside]:
    """Alone, beside a flow up, and alone again; more often, and beside a flow down, unless `quick`."""
    count = ALONE if quick or shape is None else 2 * ALONE
    async with stream_site(shape) as site:
        await alone(site, random, WARM_UP)
        seen = {"alone": await alone(site, random, count)}
        seen["beside 100 MB up"] = await beside_a_flow(site, random, LARGE_BYTES, ANSWER_BYTES, seconds)
        seen["alone again"] = await alone(site, random, count)
        if not quick:
            seen["beside 100 MB down"] = await beside_a_flow(site, random, SMALL_BYTES, LARGE_BYTES, seconds)
    return seen


async def measure(seed: int, *, quick: bool) -> tuple[dict[str, Beside], dict[str, Beside]]:
    random = Random(seed)
    linked = await on(LINK, random, 1.0, quick=quick)
    return linked, await on(None, random, 5.0, quick=quick)


def main() -> None:
    options = parse_options(__doc__ or "")
    linked, loopback = asyncio.run(measure(options.seed, quick=options.quick))
    first, flow, second = linked["alone"], linked["beside 100 MB up"], linked["alone again"]
    value = difference(flow.small_ms, first.small_ms, options.seed)
    floor = abs(difference(second.small_ms, first.small_ms, options.seed).value)
    details = {name: words(seen) for name, seen in linked.items()}
    details |= {f"loopback, {name}": words(Beside(seen.small_ms)) for name, seen in loopback.items()}
    numbers = (value.value, value.low, value.high, floor, len(flow.small_ms), GOAL_MS, value.value <= GOAL_MS)
    report(Figure("head_of_line", *numbers, machine(), options.seed, "", details), options)


if __name__ == "__main__":
    main()
