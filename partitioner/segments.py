"""A cut made runnable: the prefix for the edge, the suffix for the cloud, both over the same weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from partitioner.graph import ModelGraph

if TYPE_CHECKING:
    import torch

__all__ = ["Segment", "Segments", "split"]


class Segment(Protocol):
    """A slice of a model between named tensors. It says what it is, so that any engine can make its own form of it."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that it takes, in order; a name may stand twice."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors that it returns, in order."""

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run it in the model's own exact form on the calling thread. The first call builds that form."""


@dataclass(frozen=True, slots=True, eq=False)
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
    prefix: Segment
    suffix: Segment
    cloud: Segment

    def assemble(self, kept: tuple[torch.Tensor, ...], returned: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """All of the model's outputs in its order, out of what the edge kept and what the cloud returned."""
        have = dict(zip((*self.kept, *self.returned), (*kept, *returned), strict=True))
        return tuple(have[name] for name in self.suffix.outputs)


def split(
    graph: ModelGraph, edge_ops: Iterable[str], segment: Callable[[tuple[str, ...], tuple[str, ...]], Segment]
) -> Segments:
    """The segments of any set of ops that is closed under predecessors; `segment` makes one from inputs and outputs.

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
        prefix=segment(graph.inputs, crossing),
        suffix=segment(crossing, graph.outputs),
        cloud=segment(boundary, returned),
    )
