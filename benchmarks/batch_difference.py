"""How far are results of joined requests from those of the same requests alone, and what does joining gain?

Eight differing items through suffixes of two models, cut at the start, in the middle and late, on eager and on
onnxruntime: the largest difference of any output, over that output's largest value. Nothing is joined above the
tolerance of `nodes.measure.batch_times`, which is the goal here. The floor is 0: one call twice gives the same bits.
"""

from __future__ import annotations

from benchmarks.figure import Figure, Options, machine, parse_options, report
from isthmus import zoo
from nodes.compute_pool import ComputePool
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.factory import engine_for
from nodes.joined_run import Member, join_axes, joined_results
from nodes.measure.batch_times import TOLERANCE, boundary_sample, measure_batches, relative_difference, singles_of
from partitioner.front_end import model_from_module
from partitioner.model import Model

ENGINES, ITEMS, SHARES = ("eager", "onnxruntime"), 8, (0.0, 0.3, 0.6, 0.9)


def differences(model: Model, engine_name: str, options: Options) -> dict[float, tuple[float, str]]:
    """By share of the ops on the edge: the difference, and a row for the reader."""
    engine, ops = engine_for(engine_name), [op.name for op in model.graph.ops]
    found = {}
    for share in SHARES[:2] if options.quick else SHARES:
        cut = tuple(ops[: int(share * len(ops))])
        segments = model.split(cut)
        axes = join_axes(model.graph.tensors, segments.boundary, segments.returned)
        if axes is None:
            continue
        run, sample = engine.load(segments.cloud), boundary_sample(model, cut, ITEMS)
        singles = singles_of(sample, axes, ITEMS)
        joined = joined_results(run, axes, [Member(one, 1) for one in singles])
        worst = max(
            relative_difference(one, other)
            for single, together in zip(singles, joined, strict=True)
            for one, other in zip(run(*single), together, strict=True)
        )
        times = measure_batches(run, axes, sample, ITEMS).times
        gain = times.largest * times.at(1) / times.at(times.largest)
        row = f"{model.name:20} {engine_name:12} {share:.0%} on the edge: {worst:.1e}, gain {gain:.2f}"
        found[share] = (worst, row + f" at {times.largest}" * (times.largest > 1))
    return found


def measure(options: Options) -> Figure:
    models = [model_from_module(zoo.efficientnet_lite0()), model_from_module(zoo.minilm())]
    found = [one for model in models for engine in ENGINES for one in differences(model, engine, options).values()]
    worst = max(difference for difference, _ in found)
    numbers = (worst, min(d for d, _ in found), worst, 0.0, len(found), TOLERANCE, worst <= TOLERANCE)
    return Figure("batch_difference", *numbers, machine(), options.seed, details={"cuts": [row for _, row in found]})


def main() -> None:
    options = parse_options(__doc__ or "")
    keep_freed_memory()
    with ComputePool(1) as pool:
        report(pool.run_blocking(measure, options), options)


if __name__ == "__main__":
    main()
