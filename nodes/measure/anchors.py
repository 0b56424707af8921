"""Times whole halves at cuts of a model. Of a few along it: what the times of its ops are then scaled to
(`op_calibration`). Of any other cut: what plans of that very cut take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from nodes.engines.base import Engine
from nodes.measure.timing import measure_interleaved
from nodes.sample_inputs import sample_tensors
from partitioner.graph import ModelGraph
from partitioner.measurements import SegmentTime, digest_of_ops
from partitioner.model import Model
from partitioner.roofline import kind_group

__all__ = ["anchor_positions", "measure_anchors", "measure_halves"]


def anchor_positions(seconds: Mapping[str, float], graph: ModelGraph, count: int) -> tuple[int, ...]:
    """After how many ops to cut so that `count` anchors part the model's time evenly; fewer for a short model.

    Only before an op that does real work: an engine folds a normalisation or an activation into the op before it, and
    a cut between them measures what no plan would do.
    """
    sums = [0.0, *accumulate(seconds.get(op.name, 0.0) for op in graph.ops)]
    clean = [at for at, op in enumerate(graph.ops) if at > 0 and kind_group(op.kind) != "other"]
    if not clean or sums[-1] <= 0:
        return ()
    wanted = (sums[-1] * (number + 1) / (count + 1) for number in range(count))
    return tuple(sorted({min(clean, key=lambda position: abs(sums[position] - at)) for at in wanted}))


def measure_anchors(
    model: Model, engine: Engine, positions: Sequence[int], whole_s: float, *, budget_s: float = 2.0
) -> tuple[SegmentTime, ...]:
    """Both halves of the cut after each of `positions` ops, as `measure_halves` times them."""
    found: list[SegmentTime] = []
    for position in positions:
        edge_ops = [op.name for op in model.graph.ops[:position]]
        halves = measure_halves(model, engine, edge_ops, whole_s, budget_s=budget_s / len(positions))
        found.extend(replace(half, leading_ops=position) for half in halves)
    return tuple(found)


def measure_halves(
    model: Model, engine: Engine, edge_ops: Iterable[str], whole_s: float, *, budget_s: float
) -> tuple[SegmentTime, SegmentTime]:
    """Prefix and suffix of one cut at batch 1, each with an op at least, on the calling thread.

    The pair is interleaved with the whole model and told in its terms: times are those of a moment at which the whole
    takes `whole_s`. They include the engine's emulated slowdown. Raises InvalidPlan when `edge_ops` is not a cut.
    """
    inputs, segments = sample_tensors(model, 1), model.split(edge_ops)
    whole, prefix, suffix = (engine.load(one) for one in (model.whole, segments.prefix, segments.cloud))
    boundary = prefix(*inputs)[: len(segments.boundary)]
    thunks = (lambda: prefix(*inputs), lambda: suffix(*boundary), lambda: whole(*inputs))
    first, second, both = measure_interleaved(thunks, budget_s=budget_s)
    key, factor = (digest_of_ops(segments.edge_ops), engine.name, 1), whole_s / both.seconds
    return (
        SegmentTime(model.digest, "prefix", *key, first.scaled(factor)),
        SegmentTime(model.digest, "suffix", *key, second.scaled(factor)),
    )
