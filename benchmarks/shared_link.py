"""How much longer do 1 kB requests to one replica take while 100 MB cross to another one over the same link?

As `head_of_line`, with a stream to each of two replicas behind one link of 20 Mbit/s and 40 ms round trip. The value is
the median of the small requests while both streams carry 100 MB, less the one while theirs alone does, in ms; the floor
is the same of two runs alone. The goal is 5 ms: one window for the link would make it the same.
"""

from __future__ import annotations

import asyncio
import time
from random import Random
from statistics import median

from benchmarks.figure import Figure, Interval, machine, parse_options, report
from benchmarks.head_of_line import ANSWER_BYTES, LINK, RESAMPLES, WARM_UP, small_ones, words
from benchmarks.head_of_line import Beside as Seen
from benchmarks.stream_site import StreamSite, stream_sites

LARGE_BYTES, GOAL_MS = 100_000_000, 5.0
QUICK_S, WHOLE_S = 8.0, 40.0


async def beside(small: StreamSite, flows: tuple[StreamSite, ...], random: Random, seconds: float) -> Seen:
    """Small requests on one stream while each of `flows` sends a large one, for so long."""
    over = asyncio.Event()
    large = [asyncio.create_task(flow.exchange_s(LARGE_BYTES, ANSWER_BYTES, 600.0)) for flow in flows]
    began_s = time.monotonic()
    asking = asyncio.create_task(small_ones(small, random, over, 1 << 30))
    await asyncio.sleep(max(0.0, began_s + seconds - time.monotonic()))
    over.set()
    seen = Seen(await asking)
    for one in large:
        one.cancel()
    await asyncio.gather(*large, return_exceptions=True)
    return seen


def difference(a: Seen, b: Seen, seed: int) -> Interval:
    """Of the medians, with the percentile bootstrap interval."""
    source = Random(seed)

    def again(seen: Seen) -> float:
        return median(source.choices(seen.small_ms, k=len(seen.small_ms)))

    resampled = sorted(again(a) - again(b) for _ in range(RESAMPLES))
    value = median(a.small_ms) - median(b.small_ms)
    return Interval(value, resampled[int(0.025 * RESAMPLES)], resampled[int(0.975 * RESAMPLES)])


async def measure(seed: int, seconds: float) -> dict[str, Seen]:
    random, seen = Random(seed), dict[str, Seen]()
    for name, count in (("alone", 0), ("theirs", 1), ("the other one's", 2), ("both", 3), ("alone again", 0)):
        async with stream_sites(LINK, 2) as (one, two):  # fresh ones: what a flow left on the way is another's queue
            flows = {0: (), 1: (one,), 2: (two,), 3: (one, two)}[count]
            await small_ones(one, random, asyncio.Event(), WARM_UP)
            await small_ones(two, random, asyncio.Event(), WARM_UP)
            seen[name] = await beside(one, flows, random, seconds)
    return seen


def main() -> None:
    options = parse_options(__doc__ or "")
    seen = asyncio.run(measure(options.seed, QUICK_S if options.quick else WHOLE_S))
    value = difference(seen["both"], seen["theirs"], options.seed)
    floor = abs(difference(seen["alone again"], seen["alone"], options.seed).value)
    details = {f"flow on {name}" if name[0] != "a" else name: words(one) for name, one in seen.items()}
    numbers = (value.value, value.low, value.high, floor, len(seen["both"].small_ms), GOAL_MS, value.low <= GOAL_MS)
    report(Figure("shared_link", *numbers, machine(), options.seed, "", details), options)


if __name__ == "__main__":
    main()
