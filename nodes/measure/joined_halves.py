"""Which halves of a model's plans run as one for several requests, found out as nodes do before they batch: by what a
half takes and returns, and by whether its items mix.

Where the whole model gives every item what it gives it alone, its halves are taken to do so too, and none is run.
"""

from __future__ import annotations

import functools

import torch

from nodes.engines.eager import EagerEngine
from nodes.joined_run import join_axes
from nodes.measure.batch_times import boundary_sample, joined_difference, singles_of, varied_tensors
from partitioner.measurements import Half
from partitioner.model import Model
from partitioner.plan import Plan
from partitioner.segments import Segment

__all__ = ["JoinedHalves"]

_ITEMS = 2


class JoinedHalves:
    """Of one model. Blocks: it runs the whole model three times for an item or two, and each half where items mix."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[tuple[Half, tuple[str, ...]], bool] = {}

    def joins(self, plan: Plan, half: Half) -> bool:
        """Whether that half of the plan may run as one for several requests."""
        key = half, plan.edge_ops
        if key not in self._known:
            self._known[key] = self._model.interface.max_batch >= _ITEMS and self._half_joins(half, plan.edge_ops)
        return self._known[key]

    def _half_joins(self, half: Half, edge_ops: tuple[str, ...]) -> bool:
        segments = self._model.split(edge_ops)
        segment = segments.prefix if half == "prefix" else segments.cloud
        if join_axes(self._model.graph.tensors, segment.inputs, segment.outputs) is None:
            return False
        if not self._whole_mixes:
            return True
        prefix = half == "prefix"
        items = varied_tensors(self._model, _ITEMS) if prefix else boundary_sample(self._model, edge_ops, _ITEMS)
        return self._unmixed(segment, items)

    @functools.cached_property
    def _whole_mixes(self) -> bool:
        return not self._unmixed(self._model.whole, varied_tensors(self._model, _ITEMS))

    def _unmixed(self, segment: Segment, items: tuple[torch.Tensor, ...]) -> bool:
        """Whether joining changes no more than rounding does; False where it cannot be tried."""
        axes = join_axes(self._model.graph.tensors, segment.inputs, segment.outputs)
        if axes is None:
            return False
        singles = singles_of(items, axes, _ITEMS)
        return joined_difference(EagerEngine().load(segment), axes, singles) is not None
