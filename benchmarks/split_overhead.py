"""What does a split cost besides its compute? Against a two-hop raw grpc.aio relay that moves as many bytes.

A: a split request through the product's client on loopback, edge and replica as processes, minus the compute that the
answer reports: edge (prefix, encode) and cloud (decode, suffix, encode). B: client, relay, server, each a process; as
many bytes on either hop, either way. Both hops of B are unary calls with the project's event loop and channel options;
A answers on a standing stream behind a unary call. Boundaries of 1 kB, 10 kB, 150 kB and 3 MB (`split_site`);
the value is the worst size's median. A size holds where its median and its 99th percentile both meet their goals,
each beyond the floor of the same quantile. A real network stands beside the sizes and is not judged: caches and cores
that its prefix has left cold make whatever follows it slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace

import grpc
import numpy as np

from benchmarks.figure import (
    Figure,
    Interval,
    Options,
    measure_pairs,
    parse_options,
    ratio_figure,
    report,
    verdict,
)
from benchmarks.raw_relay import raw_relay
from benchmarks.split_site import NETWORK, SIZES, Case, SplitSite, split_site
from nodes.transport.channel_options import CHANNEL_OPTIONS

__all__ = ["measure"]

GOAL, TAIL_GOAL, TAIL = 1.5, 2.0, 99
ROUNDS, NETWORK_ROUNDS, WARM_UP = 3_000, 100, 10
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One case. tail, tail_floor: the 99th percentile of A/B and of B/B. whole_s: of A, compute and all."""

    middle: Figure
    tail: Interval
    tail_floor: Interval
    whole_s: float

    @property
    def holds(self) -> bool:
        """Both the median and the tail."""
        return self.middle.holds and verdict(self.tail, self.tail_floor, TAIL_GOAL) == "holds"


async def measure(options: Options) -> Figure:
    names = options.sizes or (*SIZES, *(() if options.quick else (NETWORK,)))  # a minute until the network is planned
    with contextlib.ExitStack() as stack:
        async with split_site(names, options.seed) as site:
            # In a thread: this loop also serves the fleet registry, and a spawned child takes seconds to import.
            relay = await asyncio.to_thread(stack.enter_context, raw_relay())
            async with grpc.aio.insecure_channel(relay, options=CHANNEL_OPTIONS) as channel:
                measured = {case: await _measure_case(site, case, channel, options) for case in site.cases}
    return _worst(measured)


async def _measure_case(site: SplitSite, case: Case, channel: grpc.aio.Channel, options: Options) -> Measured:
    loop, wholes_s = asyncio.get_running_loop(), list[float]()
    move: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(case.traffic.method)
    message = bytes(case.traffic.request)

    async def overhead_s() -> float:
        began_s = time.perf_counter()
        result = await site.ask(case)
        wholes_s.append(time.perf_counter() - began_s)
        return wholes_s[-1] - (result.timings["edge"] + result.timings["cloud"]) / 1e3

    async def relay_s() -> float:
        began_s = time.perf_counter()
        await move(message)
        return time.perf_counter() - began_s

    def sync(work: Callable[[], Coroutine[None, None, float]]) -> Callable[[], float]:
        return lambda: asyncio.run_coroutine_threadsafe(work(), loop).result()

    for _ in range(WARM_UP):
        await relay_s()
    rounds = NETWORK_ROUNDS if case.name == NETWORK else ROUNDS
    rounds = rounds // 10 if options.quick else rounds
    samples = await asyncio.to_thread(measure_pairs, sync(overhead_s), sync(relay_s), rounds, options.seed)
    middle = ratio_figure("split_overhead", samples, GOAL, options)
    ours, floor = (_tail(of, samples.b, options.seed) for of in (samples.a, samples.b_again))
    return Measured(middle, ours, floor, float(np.median(wholes_s)))


def _tail(of: Sequence[float], over: Sequence[float], seed: int) -> Interval:
    """The 99th percentile of the paired ratios, with its bootstrap interval."""
    ratios = np.array(of) / np.array(over)
    drawn = np.random.default_rng(seed).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    low, high = np.percentile(np.percentile(ratios[drawn], TAIL, axis=1), (2.5, 97.5))
    return Interval(float(np.percentile(ratios, TAIL)), float(low), float(high))


def _worst(measured: Mapping[Case, Measured]) -> Figure:
    judged = [one for case, one in measured.items() if case.name != NETWORK] or list(measured.values())
    rows = [
        f"{'boundary':18}   p50 [low, high]         floor   p99 [low, high]         floor"
        "   us of ours   relay's   whole request   pairs   holds"
    ]
    for case, one in measured.items():
        middle, tail = one.middle, one.tail
        rows.append(
            f"{case.name:18}   {middle.value:.3f} [{middle.low:.3f}, {middle.high:.3f}]   {middle.floor:.3f}"
            f"   {tail.value:.3f} [{tail.low:.3f}, {tail.high:.3f}]   {one.tail_floor.value:.3f}"
            f"   {_us(middle, 'a'):10.0f}   {_us(middle, 'b'):7.0f}   {1e6 * one.whole_s:13.0f}   {middle.n:5}"
            f"   {'-' if case.name == NETWORK else 'yes' if one.holds else 'no'}"
        )
    worst = max(judged, key=lambda one: one.middle.value).middle
    holds = all(one.holds for one in judged)
    details = {
        "goals": f"p50 {GOAL:g}, p99 {TAIL_GOAL:g}, each beyond its floor; the network is not judged",
        "by boundary": rows,
        "bytes": {case.name: f"{case.traffic}" for case in measured},
        "engine": "eager, one thread a side; clients, edge, replica and relay share the cores",
    }
    return replace(worst, holds=holds, verdict="holds" if holds else "missed", details=details)


def _us(figure: Figure, which: str) -> float:
    return 1e6 * float(str(figure.details[f"{which}_median"]))


def main() -> None:
    options = parse_options(__doc__, sizes=(*SIZES, NETWORK))
    report(asyncio.run(measure(options)), options)


if __name__ == "__main__":
    main()
