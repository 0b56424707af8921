"""Which tensors inside a chain of ops no cut needs to cross, whatever the weights: their ops can be one.

In a chain o1 -> o2 -> ... -> ok, where each op reads nothing but what the one before made for it alone, a cut inside
can be moved to another place of the chain, or to either end of it, and nothing else changes. So a place that is not the
cheapest of the chain under any weights of edge, wire and cloud is never needed: an exchange argument. The places that
are needed form the lower envelope of the chain's own few cost vectors (`WeightRegions`). About three places of four go.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from partitioner.parametric_problem import ParametricProblem, ParametricTensor
from partitioner.weight_regions import IntegerAxes, WeightRegions

__all__ = ["never_needed"]

_Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Chain:
    """places: what crosses before the first op, between each two, and after the last."""

    ops: tuple[str, ...]
    places: tuple[tuple[ParametricTensor, ...], ...]


def never_needed(problem: ParametricProblem) -> frozenset[str]:
    """Tensors inside chains that some best cut leaves uncut, whatever the weights; their ops may be taken together."""
    gone: set[str] = set()
    seconds = {op.name: (op.edge_s, op.cloud_s) for op in problem.ops}
    for chain in _chains(problem):
        vectors = [_vectors(chain, place, seconds) for place in range(len(chain.places))]
        if problem.cloud_required and not any(tensor.consumers for tensor in chain.places[-1]):
            vectors[-1] = []  # there the cut may become edge-only, which is no solution
        needed = _winners(vectors)
        gone.update(chain.places[i][0].name for i in range(1, len(chain.places) - 1) if i not in needed)
    return frozenset(gone)


def _winners(vectors: list[list[_Vector]]) -> set[int]:
    """The places with a vector that is the least somewhere. The ends come first: they leave others little to win."""
    places = sorted(range(len(vectors)), key=lambda place: 0 < place < len(vectors) - 1)
    rows = [(place, vector) for place in places for vector in vectors[place]]
    integers = IntegerAxes.of([vector for _, vector in rows])
    regions = WeightRegions()
    for _, vector in rows:
        regions.add(integers.plane(vector))
    return {rows[number][0] for number in regions.regions}


def _vectors(chain: _Chain, place: int, seconds: Mapping[str, tuple[float, float]]) -> list[_Vector]:
    """What a cut at that place costs the chain, in each way of the tensor there; none where that is not one tensor."""
    edge_s = math.fsum(seconds[op][0] for op in chain.ops[:place])
    cloud_s = math.fsum(seconds[op][1] for op in chain.ops[place:])
    crossing = [tensor for tensor in chain.places[place] if tensor.consumers]
    if not crossing and place > 0:
        return [(edge_s, 0.0, cloud_s)]
    if len(crossing) != 1:
        return []
    return [(edge_s + way.edge_s, float(way.wire_bytes), cloud_s + way.cloud_s) for way in crossing[0].uplink]


def _chains(problem: ParametricProblem) -> Iterator[_Chain]:
    """Longest chains of ops that may run on either side."""
    reads: dict[str, list[ParametricTensor]] = {op.name: [] for op in problem.ops}
    makes: dict[str, list[ParametricTensor]] = {op.name: [] for op in problem.ops}
    for tensor in problem.tensors:
        if tensor.producer is not None:
            makes[tensor.producer].append(tensor)
        for consumer in tensor.consumers:
            reads[consumer].append(tensor)
    free = {op.name for op in problem.ops if op.edge_s < math.inf and op.cloud_s < math.inf}
    follower = {
        op: made[0].consumers[0]
        for op, made in makes.items()
        if len(made) == 1 and len(made[0].consumers) == 1 and not made[0].is_output and op in free
    }
    follower = {op: after for op, after in follower.items() if len(reads[after]) == 1 and after in free}
    for first in follower.keys() - set(follower.values()):
        ops = [first]
        while ops[-1] in follower:
            ops.append(follower[ops[-1]])
        yield _Chain(tuple(ops), (tuple(reads[first]), *(tuple(makes[op]) for op in ops)))
