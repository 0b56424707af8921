"""Real times of whole prefixes and suffixes through an engine: what the choice among candidates rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from nodes.engines.base import Engine
from nodes.measure.timing import measure
from nodes.sample_inputs import sample_tensors
from partitioner.affine_fit import affine_time
from partitioner.measurements import AffineTime, Half, SegmentTime, digest_of_ops
from partitioner.model import Model
from partitioner.segments import Segments

__all__ = ["measure_segments", "segment_time"]


def measure_segments(
    model: Model, edge_ops: Iterable[str], engine: Engine, *, batches: Sequence[int] = (1, 2), budget_s: float = 0.4
) -> tuple[SegmentTime, ...]:
    """Prefix and suffix of one cut at each batch, on the calling thread, for about `budget_s` seconds in all.

    The suffix is what a cloud runs: it makes the outputs that are not kept. A half without ops takes no time and is
    left out. Raises InvalidPlan when `edge_ops` is not a cut.
    """
    segments = model.split(edge_ops)
    share_s = budget_s / (2 * len(batches))
    halves: list[Half] = ["prefix"] if segments.edge_ops else []
    if len(segments.edge_ops) < len(model.graph.ops):
        halves.append("suffix")
    return tuple(_measured(model, segments, half, batch, engine, share_s) for batch in batches for half in halves)


def segment_time(times: Iterable[SegmentTime], half: Half) -> AffineTime:
    """The line through the times of one half over the batch; zero where it was not measured."""
    seconds = {float(time.batch): time.time.seconds for time in times if time.segment == half}
    return affine_time(seconds) if seconds else AffineTime(0.0, 0.0)


def _measured(model: Model, segments: Segments, half: Half, batch: int, engine: Engine, budget_s: float) -> SegmentTime:
    tensors = sample_tensors(model, batch)
    segment = segments.prefix
    if half == "suffix":
        with torch.inference_mode():
            tensors, segment = segments.prefix(*tensors)[: len(segments.boundary)], segments.cloud
    runner = engine.load(segment)
    time = measure(lambda: runner(*tensors), budget_s=budget_s)
    return SegmentTime(model.digest, half, digest_of_ops(segments.edge_ops), engine.name, batch, time)
