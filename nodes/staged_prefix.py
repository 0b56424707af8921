"""A prefix in stages, each of which ends when another boundary tensor is made, so that it can leave at once.

A stage is the ops that its boundary tensor needs and no stage before it has run. Op by op the stages compute what the
prefix does as a whole, so engines that run op by op give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from nodes.engines.base import Engine, Runner
from partitioner.graph import ModelGraph
from partitioner.model import Model

__all__ = ["Stage", "needed_ops", "stages_of"]


@dataclass(frozen=True, slots=True)
class Stage:
    """run: from `inputs` to `outputs`. crossing: how many of the boundary tensors, in their order, it leaves there."""

    run: Runner
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    crossing: int

    def __call__(self, values: dict[str, torch.Tensor]) -> None:
        """Add what it makes to `values`."""
        values |= zip(self.outputs, self.run(*(values[name] for name in self.inputs)), strict=True)


def stages_of(model: Model, edge_ops: Iterable[str], engine: Engine, early: Sequence[int]) -> tuple[Stage, ...]:
    """The stages of a cut's prefix. early: after how many boundary tensors a stage ends, each less than all."""
    segments = model.split(edge_ops)
    crossing = tuple(dict.fromkeys((*segments.boundary, *segments.kept)))
    stages: list[Stage] = []
    have = tuple(model.graph.inputs)
    for count, ops in _ends(model.graph, segments.boundary, segments.edge_ops, early):
        made = _made(model.graph, ops)
        within = model.split(ops)
        wanted = crossing
        if count < len(segments.boundary):
            wanted = tuple(
                dict.fromkeys((*within.boundary, *within.kept, *(n for n in crossing if n in made)))
            )  # fmt: skip
        stages.append(Stage(engine.load(model.segment(have, wanted)), have, wanted, count))
        have = wanted
    return tuple(stages)


def needed_ops(graph: ModelGraph, tensors: Iterable[str]) -> frozenset[str]:
    """The ops that it takes to make those tensors: closed under predecessors."""
    wanted, ops = set(tensors), set[str]()
    for op in reversed(graph.ops):
        if not wanted.isdisjoint(op.outputs):
            ops.add(op.name)
            wanted.update(op.inputs)
    return frozenset(ops)


def _ends(
    graph: ModelGraph, boundary: Sequence[str], edge_ops: frozenset[str], early: Sequence[int]
) -> Iterator[tuple[int, frozenset[str]]]:
    for count in sorted(early):
        yield count, needed_ops(graph, boundary[:count])
    yield len(boundary), edge_ops


def _made(graph: ModelGraph, ops: frozenset[str]) -> frozenset[str]:
    return frozenset(graph.inputs) | {name for op in graph.ops if op.name in ops for name in op.outputs}
