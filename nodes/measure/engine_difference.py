"""How far a cut's answers on its engines are from the whole model's on the exact one, with nothing lost on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from isthmus.errors import IsthmusError
from nodes.engines.base import Engine, Runner
from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.measure.answer_agreement import agreement, largest_difference, metric_for
from nodes.sample_inputs import calibration_batches, sample_tensors
from nodes.settings import COMPILING_ENGINES
from partitioner.model import Model, has_judged_items
from partitioner.plan_table import FARTHEST, EngineDifference, Metric
from partitioner.profiles import DeviceProfile
from partitioner.segments import Segments

__all__ = ["difference_here", "measure_engine_difference", "measure_whole_difference"]

_BATCH = 8
_METRICS: tuple[Metric, Metric, Metric] = ("cosine", "top1_agreement", "closeness")

Tensors = tuple[torch.Tensor, ...]


def measure_engine_difference(
    model: Model, edge_ops: Iterable[str], edge: Engine, cloud: Engine, most_items: int | None = None
) -> EngineDifference:
    """prefix on `edge`, suffix on `cloud`, against the whole model on eager; runs on the calling thread.

    Where only one of them made a number that is not finite, they differ by FARTHEST: how many answers that concerns is
    what a budget counts. On the first `most_items` of the model's calibration inputs, or all of them; on made-up ones
    where it has none. Raises InvalidPlan when `edge_ops` is not a cut, InvalidModel naming an op that an engine cannot
    run.
    """
    segments = model.split(edge_ops)
    exact = EagerEngine(threads=edge.threads).load(model.whole)
    prefix, suffix = edge.load(segments.prefix), cloud.load(segments.cloud)
    pairs = [(exact(*batch), _through(segments, prefix, suffix, batch)) for batch in _batches(model, most_items)]
    first = [torch.cat([outputs[0] for outputs in side]) for side in zip(*pairs, strict=True)]
    cosine, top1, closeness = (_mean(agreement(metric, *first)) for metric in _METRICS)
    return EngineDifference(
        max_abs=max(_largest(*pair) for pair in pairs),
        cosine=cosine,
        top1_agreement=top1,
        n=len(first[0]),
        calibrated=has_judged_items(model),
        closeness=closeness if metric_for(first[0], classes=False) == "closeness" else None,
    )


def measure_whole_difference(model: Model, engine: Engine, most_items: int | None = None) -> EngineDifference:
    """The whole model on `engine` against it on eager."""
    every_op = [op.name for op in model.graph.ops]
    return measure_engine_difference(model, every_op, engine, EagerEngine(threads=engine.threads), most_items)


def difference_here(model: Model, device: DeviceProfile) -> EngineDifference | None:
    """How far the engine of `device` is from eager on this machine; None where it does not run here, and for one that
    would compile for minutes first."""
    if device.engine in COMPILING_ENGINES:
        return None
    try:
        return measure_whole_difference(model, engine_for(device.engine, device.device))
    except IsthmusError:
        return None


def _batches(model: Model, most_items: int | None) -> Iterator[Tensors]:
    """Calibration inputs in batches; without them one batch of samples."""
    size = min(_BATCH, model.interface.max_batch)
    if not has_judged_items(model):
        yield sample_tensors(model, size)
        return
    yield from calibration_batches(tuple(one[:most_items] for one in model.calibration), size)


def _through(segments: Segments, prefix: Runner, suffix: Runner, inputs: Tensors) -> Tensors:
    made = prefix(*inputs)
    crossing = len(segments.boundary)
    return segments.assemble(made[crossing:], suffix(*made[:crossing]))


def _largest(whole: Tensors, cut: Tensors) -> float:
    """The largest difference in any output, at most FARTHEST."""
    return min(FARTHEST, max(largest_difference(a, b) for a, b in zip(whole, cut, strict=True)))


def _mean(agreements: torch.Tensor) -> float:
    """Of no items 1: none of them differs."""
    return float(agreements.mean()) if len(agreements) else 1.0
