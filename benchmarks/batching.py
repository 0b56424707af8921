"""Does batching keep the engine busy without making requests late? Engine on one core, all else on the other.

Requests go to a replica over its stream, as an edge sends them: cloud-only plans, so the suffix is the whole model.
Two models on eager: eight layers of 2048 x 2048, which mostly wait for their weights (batching pays), and
efficientnet-lite0 (it hardly does). For each: at saturation (a closed loop), time per batch is wall time over batches,
decoding, transport and hand-overs included, against the bare engine on batches of that size in the same thread (the
figure's value; goal 1.1); busy is the worker's share of the wall time (goal 0.9). At half of the unbatched capacity
(Poisson arrivals, the same for all), p99 against a replica with `max_batch: 1` (goal 1.2). Rounds are interleaved in
random order, with a floor.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch import nn

from benchmarks.batching_load import Saturated, Side, side
from benchmarks.batching_replica import OTHER_CORE
from benchmarks.figure import Figure, Options, PairedSamples, parse_options, ratio_figure, report
from isthmus import zoo
from nodes.batching import BatchLimits
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model

GOAL, BUSY_GOAL, P99_GOAL = 1.1, 0.9, 1.2
SATURATED_S, RAW_S, HALF_LOAD_S = 1.2, 0.6, 2.5
ROUNDS, P99_ROUNDS, QUICK_ROUNDS, QUICK_P99_ROUNDS = 16, 8, 4, 2


def layers() -> Model:
    torch.manual_seed(0)
    made = [layer for _ in range(8) for layer in (nn.Linear(2048, 2048), nn.ReLU())]
    return model_from_module(nn.Sequential(*made).eval(), (torch.randn(2, 2048),), "layers")


async def per_batch(
    batched: Side, in_flight: int, rounds: int, order: random.Random
) -> tuple[PairedSamples, Saturated]:
    """A: wall time over batches at saturation. B, twice: the bare engine on batches of the size that A found."""
    samples: tuple[list[float], list[float], list[float]] = ([], [], [])
    seen: list[Saturated] = []
    size = max(1, round((await batched.saturated(in_flight, SATURATED_S)).mean_size))
    for _ in range(rounds):
        for which in order.sample(range(3), 3):
            if which == 0:
                seen.append(await batched.saturated(in_flight, SATURATED_S))
                samples[0].append(seen[-1].batch_s / seen[-1].mean_size * size)
            else:
                samples[which].append(await asyncio.to_thread(batched.process.raw_batch_s, size, RAW_S))
    busy = sorted(one.busy for one in seen)[rounds // 2]
    mean = Saturated(sum(one.batch_s for one in seen) / rounds, sum(one.mean_size for one in seen) / rounds, busy)
    return PairedSamples(*(tuple(column) for column in samples)), mean


async def half_load(sides: tuple[Side, Side], rate: float, rounds: int, order: random.Random) -> PairedSamples:
    """p99 of A, the batching replica, and of B, twice, the other; all three of a round on the same arrivals."""
    samples: tuple[list[float], list[float], list[float]] = ([], [], [])
    for number in range(rounds + 1):
        gaps_s = [order.expovariate(rate) for _ in range(max(20, round(rate * HALF_LOAD_S)))]
        for which in order.sample(range(3), 3):
            took_s = await sides[0 if which == 0 else 1].p99_s(gaps_s)
            if number:
                samples[which].append(took_s)
    return PairedSamples(*(tuple(column) for column in samples))


async def measure(model: Model, in_flight: int, options: Options) -> tuple[Figure, bool]:
    """The figure of one model, and whether all three goals hold."""
    order = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / model.name
        save_artifact(model, artifact)
        async with side(artifact, model, BatchLimits()) as batched, side(artifact, model, BatchLimits(1)) as single:
            samples, seen = await per_batch(batched, in_flight, QUICK_ROUNDS if options.quick else ROUNDS, order)
            alone = await single.saturated(in_flight, 2 * SATURATED_S)
            rounds = QUICK_P99_ROUNDS if options.quick else P99_ROUNDS
            late = await half_load((batched, single), 0.5 / alone.batch_s, rounds, order)
    p99 = ratio_figure("p99", late, P99_GOAL, options)
    details = {
        "batch": f"{seen.mean_size:.2f} requests in {seen.batch_s * 1e3:.2f} ms",
        "requests_per_s": f"{seen.mean_size / seen.batch_s:.1f} batched, {1 / alone.batch_s:.1f} with max_batch 1",
        "busy": f"{seen.busy:.3f}, goal {BUSY_GOAL}: {'holds' if seen.busy >= BUSY_GOAL else 'missed'}",
        "p99_at_half_load": f"{p99.value:.3f} [{p99.low:.3f}, {p99.high:.3f}] of unbatched, goal {P99_GOAL}, "
        f"floor {p99.floor:.3f}, n {p99.n}: {p99.verdict} ({median(late.a) * 1e3:.1f} ms)",
    }
    figure = ratio_figure("batching", samples, GOAL, options, details=details)
    return figure, figure.holds and p99.holds and seen.busy >= BUSY_GOAL


async def both(options: Options) -> Figure:
    paying, paying_holds = await measure(layers(), 64, options)
    hardly, hardly_holds = await measure(model_from_module(zoo.efficientnet_lite0()), 16, options)
    ratio = f"{hardly.value:.3f} [{hardly.low:.3f}, {hardly.high:.3f}], floor {hardly.floor:.3f}: {hardly.verdict}"
    details = {"layers": paying.details, "efficientnet-lite0": {"time_per_batch": ratio, **hardly.details}}
    holds = paying_holds and hardly_holds
    words = "holds" if holds else f"not all of it holds (time per batch of layers: {paying.verdict})"
    return replace(paying, holds=holds, verdict=words, details=details)


def main() -> None:
    options = parse_options(__doc__ or "")
    os.sched_setaffinity(0, {OTHER_CORE})
    report(asyncio.run(both(options)), options)


if __name__ == "__main__":
    main()
