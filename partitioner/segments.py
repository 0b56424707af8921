"""A cut made runnable: the prefix for the edge, the suffix for the cloud, both over the same weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import fx

from partitioner.graph import ModelGraph
from partitioner.lowering import lower
from partitioner.program import Program

__all__ = ["Segments", "split"]


@dataclass(frozen=True, eq=False)
class Segments:
    """The two sides of a cut.

    prefix(*inputs) returns one tensor for each name in `boundary` (they cross) and then one for each in `kept` (outputs
    that are made on the edge). suffix(*that_tuple) returns all of the model's outputs. A tensor may be in both.
    cloud(*boundary tensors) is the suffix as the cloud runs it, which never sees what is kept: it returns one for
    each name in `returned`, the outputs made in the cloud.
    """

    edge_ops: frozenset[str]
    boundary: tuple[str, ...]
    kept: tuple[str, ...]
    returned: tuple[str, ...]
    prefix: fx.GraphModule
    suffix: fx.GraphModule
    program: Program
    weights: Mapping[str, torch.Tensor]

    @cached_property
    def cloud(self) -> fx.GraphModule:
        """The suffix without what is kept: boundary tensors in, the tensors of `returned` out. Made when first used."""
        return lower(self.program, self.weights, self.boundary, self.returned)

    def assemble(self, kept: tuple[torch.Tensor, ...], returned: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """All of the model's outputs in its order, out of what the edge kept and what the cloud returned."""
        have = dict(zip((*self.kept, *self.returned), (*kept, *returned), strict=True))
        return tuple(have[name] for name in self.program.outputs)


def split(
    program: Program, weights: Mapping[str, torch.Tensor], graph: ModelGraph, edge_ops: Iterable[str]
) -> Segments:
    """The segments of any set of ops that is closed under predecessors; the weights are shared, never copied.

    Sizes and values of constants are made anew on each side. Raises InvalidPlan when the set is not closed or names an
    unknown op.
    """
    edge = graph.check_closed(edge_ops)
    boundary, kept = graph.boundary(edge), graph.kept(edge)
    crossing = (*boundary, *kept)
    returned = tuple(n for n in dict.fromkeys(graph.outputs) if n not in kept)
    return Segments(
        edge_ops=edge,
        boundary=boundary,
        kept=kept,
        returned=returned,
        prefix=lower(program, weights, graph.inputs, crossing),
        suffix=lower(program, weights, crossing, graph.outputs),
        program=program,
        weights=weights,
    )
