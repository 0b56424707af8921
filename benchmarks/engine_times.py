"""How much quicker than eager are the engines, and what do they cost to prepare? Whole models, one thread, on CPU.

A: the model on AOTInductor, B: on eager, in one run with the other engines, one call each a round in random order.
The value is the median of A/B on the first model at batch 1; the table has every engine, model and batch, with the
seconds that preparing took (0.0 where code was kept from before), and how far its answers are from eager's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figure import Figure, Interval, Options, bootstrap, machine, parse_options, report, verdict
from isthmus import zoo
from nodes.compute_pool import ComputePool
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.base import Runner
from nodes.engines.factory import ENGINE_NAMES, engine_for
from nodes.measure.engine_difference import measure_whole_difference
from nodes.sample_inputs import sample_tensors
from partitioner.front_end import model_from_module
from partitioner.model import Model

GOAL, ROUNDS, QUICK_ROUNDS, BATCHES = 1.0, 100, 30, (1, 8)
AGAIN = "eager again"


@dataclass(frozen=True, slots=True)
class Ready:
    """An engine with a model loaded: seconds until its first answer, seconds of compiling whenever that was."""

    runner: Runner
    first_s: float
    compile_s: float
    max_abs: float


def ready(model: Model, name: str) -> Ready:
    engine, started = engine_for(name), time.perf_counter()
    compile_s = engine.prepare([model.whole])
    runner = engine.load(model.whole)
    runner(*sample_tensors(model, 1))
    first_s = time.perf_counter() - started
    return Ready(runner, first_s, compile_s, measure_whole_difference(model, engine).max_abs)


def ratios(model: Model, runners: dict[str, Runner], batch: int, options: Options) -> dict[str, Interval]:
    """Every engine's time over eager's, round by round."""
    order, inputs = random.Random(options.seed), sample_tensors(model, batch)
    rows: list[dict[str, float]] = []
    for _ in range(1 + (QUICK_ROUNDS if options.quick else ROUNDS)):
        row = {}
        for name in order.sample(list(runners), len(runners)):
            started = time.perf_counter()
            runners[name](*inputs)
            row[name] = time.perf_counter() - started
        rows.append(row)
    return {name: bootstrap([row[name] / row["eager"] for row in rows[1:]], options.seed) for name in runners}


def measure(options: Options) -> Iterator[tuple[str, dict[str, Interval], list[str]]]:
    for made in (zoo.efficientnet_lite0, zoo.minilm):
        model = model_from_module(made())
        engines = {name: ready(model, name) for name in ENGINE_NAMES}
        runners = {**{name: one.runner for name, one in engines.items()}, AGAIN: engines["eager"].runner}
        for batch in BATCHES[:1] if options.quick else BATCHES:
            found = ratios(model, runners, batch, options)
            yield f"{model.name}, batch {batch}", found, [row(name, found[name], engines) for name in found]


def row(name: str, ratio: Interval, engines: dict[str, Ready]) -> str:
    text = f"{name:12} {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    if name == AGAIN:
        return text
    one = engines[name]
    return (
        f"{text}, first answer after {one.first_s:.1f} s, compiled in {one.compile_s:.1f} s, max_abs {one.max_abs:.1e}"
    )


def main() -> None:
    options = parse_options(__doc__ or "")
    keep_freed_memory()
    with ComputePool() as pool:
        found = pool.run_blocking(lambda: list(measure(options)))
    first = found[0][1]
    value, floor = first["aot"], first[AGAIN]
    words = verdict(value, floor, GOAL)
    n = QUICK_ROUNDS if options.quick else ROUNDS
    numbers = (value.value, value.low, value.high, floor.value, n, GOAL, words == "holds")
    details = {title: rows for title, _, rows in found}
    report(Figure("engine_times", *numbers, machine(), options.seed, words, details), options)


if __name__ == "__main__":
    main()
