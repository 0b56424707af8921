"""t(B) of a segment: how long a batch takes, and whether joining requests leaves their results what they are.

A batch is only worth measuring, and later only made, where two at once are quicker than one by one; and it is only
sound where no op mixes items: normalising over the batch is a model's right, but then a request would see its
companions. So the same items are run alone and joined, and the largest difference is compared with what rounding
explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nodes.batch_times import BatchTimes, saves_enough, sizes_above_two
from nodes.engines.base import Runner
from nodes.engines.eager import EagerEngine
from nodes.joined_run import JoinAxes, Member, joined_results
from nodes.measure.timing import measure, measure_interleaved
from nodes.sample_inputs import sample_tensors
from partitioner.model import Model

__all__ = [
    "BatchMeasurement",
    "boundary_sample",
    "joined_difference",
    "measure_batches",
    "relative_difference",
    "singles_of",
    "varied_tensors",
]

BUDGET_S = 0.1
# Joined and alone may differ by this share of the largest value: kernels for other sizes add in another order. Measured
# on the models of the zoo: 3.5e-7 at most. 16-bit floats round 2^13 times as coarsely.
TOLERANCE = 1e-4
TOLERANCE_16_BIT = 2e-2


@dataclass(frozen=True, slots=True)
class BatchMeasurement:
    """times: those that may be batched; only the single one where joining is not sound or pays nothing.

    difference: of results joined from results alone, the largest, over the largest value; None where nothing is joined.
    """

    times: BatchTimes
    difference: float | None

    @property
    def gain(self) -> float:
        """How many times faster the best batch works than single items."""
        times = self.times
        return max(size * times.at(1) / took for size, took in times.seconds if took > 0) if times.at(1) > 0 else 1.0


def measure_batches(run: Runner, axes: JoinAxes | None, items: tuple[torch.Tensor, ...], most: int) -> BatchMeasurement:
    """Measure `run` on batches of `items` (which holds `most` of them, all different) up to `most`.

    axes: None where the segment's tensors cannot be joined; then items is one item.
    """
    if axes is None or most < 2:
        return BatchMeasurement(BatchTimes.of({1: _seconds(run, items)}), None)
    singles = singles_of(items, axes, most)
    one, two = (_first(singles, size, axes) for size in (1, 2))
    times = measure_interleaved([lambda: run(*one), lambda: run(*two)], budget_s=2 * BUDGET_S)
    seconds = {1: times[0].seconds, 2: times[1].seconds}
    alone = BatchTimes.of({1: seconds[1]})
    if not saves_enough(seconds[1], seconds[2]):
        return BatchMeasurement(alone, None)
    seconds |= {size: _seconds(run, _first(singles, size, axes)) for size in sizes_above_two(most)}
    difference = joined_difference(run, axes, singles)
    return BatchMeasurement(alone if difference is None else BatchTimes.of(seconds), difference)


def varied_tensors(model: Model, batch: int) -> tuple[torch.Tensor, ...]:
    """Sample inputs whose items differ. Integers are ones with ever more zeros at the end, as padded sentences have."""
    return tuple(tensor if tensor.is_floating_point() else _padded(tensor) for tensor in sample_tensors(model, batch))


def boundary_sample(model: Model, edge_ops: Sequence[str], batch: int) -> tuple[torch.Tensor, ...]:
    """The boundary tensors of a cut for `batch` differing items, without any codec's loss."""
    segments, inputs = model.split(edge_ops), varied_tensors(model, batch)
    have = dict(zip(model.graph.inputs, inputs, strict=True))
    if any(name not in have for name in segments.boundary):
        made = EagerEngine().load(segments.prefix)(*inputs)
        have |= dict(zip((*segments.boundary, *segments.kept), made, strict=True))
    return tuple(have[name] for name in segments.boundary)


def _padded(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dim() < 2:
        return tensor
    width = tensor.shape[-1]
    ends = torch.tensor([max(1, width - item * width // len(tensor)) for item in range(len(tensor))])
    keep = torch.arange(width) < ends.view(-1, *(1 for _ in tensor.shape[1:]))
    return tensor * keep.to(tensor.dtype)


def singles_of(items: tuple[torch.Tensor, ...], axes: JoinAxes, count: int) -> list[tuple[torch.Tensor, ...]]:
    parts = [
        torch.split(tensor, axis.per_item, axis.dimension) for tensor, axis in zip(items, axes.inputs, strict=True)
    ]
    return [tuple(part[item].clone() for part in parts) for item in range(count)]


def _first(singles: list[tuple[torch.Tensor, ...]], size: int, axes: JoinAxes) -> tuple[torch.Tensor, ...]:
    columns = zip(*singles[:size], strict=True)
    return tuple(torch.cat(column, axis.dimension) for column, axis in zip(columns, axes.inputs, strict=True))


def _seconds(run: Runner, tensors: tuple[torch.Tensor, ...]) -> float:
    return measure(lambda: run(*tensors), budget_s=BUDGET_S, min_repeats=3).seconds


def joined_difference(run: Runner, axes: JoinAxes, singles: list[tuple[torch.Tensor, ...]]) -> float | None:
    """The largest relative difference that joining `singles` makes; None where rounding does not explain it."""
    try:
        joined = joined_results(run, axes, [Member(tensors, 1) for tensors in singles])
    except Exception:  # whatever it is: what cannot be joined now will not be joined for a request
        return None
    worst = 0.0
    for tensors, together in zip(singles, joined, strict=True):
        for one, other in zip(run(*tensors), together, strict=True):
            found = relative_difference(one, other)
            if found > _tolerance(one):
                return None
            worst = max(worst, found)
    return worst


def relative_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference over the largest value; infinite where shapes, integers or the places of NaNs differ."""
    if one.shape != other.shape:
        return float("inf")
    if not one.is_floating_point():
        return 0.0 if torch.equal(one, other) else float("inf")
    wide, beside = one.double().nan_to_num(), other.double().nan_to_num()
    if not torch.equal(one.isnan(), other.isnan()):
        return float("inf")
    return float((wide - beside).abs().max() / wide.abs().max().clamp_min(1e-12)) if one.numel() else 0.0


def _tolerance(tensor: torch.Tensor) -> float:
    return TOLERANCE_16_BIT if tensor.dtype in (torch.float16, torch.bfloat16) else TOLERANCE
