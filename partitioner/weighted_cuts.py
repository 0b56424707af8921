"""The minimum cut of one parametric problem under any weights of its axes, built once and re-weighted.

Under weights w a tensor costs the least of its ways, so the cheapest cut and the way of each tensor come from one
minimum cut. What is built once is the layout of the flow network, with ops that no cut needs to part taken together
(`chains`); a new weighting is a few numpy products over its arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InfeasibleCut
from partitioner.axis_costs import Axes, OpAxes, WayAxes
from partitioner.cut_network import lay_out
from partitioner.flow_network import FlowNetwork
from partitioner.min_cut import minimum_source_side
from partitioner.parametric_problem import CutChoice, ParametricProblem, ParametricTensor

__all__ = ["NO_PINS", "Pins", "WeightedCut", "WeightedCuts"]

_Floats = NDArray[np.float64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pins:
    """Ops that must be on either side, and (tensor, way) that may not be taken."""

    edge: frozenset[str] = frozenset()
    cloud: frozenset[str] = frozenset()
    closed: frozenset[tuple[str, int]] = frozenset()


NO_PINS = Pins()


@dataclass(frozen=True, slots=True, eq=False)
class WeightedCut:
    """A cut, and the source side of the network that it is."""

    choice: CutChoice
    source_side: _Mask


class WeightedCuts:
    """Minimum cuts of `problem` under weights of `axes`.

    together: tensors that need not be cut (`chains.never_needed`).
    """

    def __init__(self, problem: ParametricProblem, axes: Axes, together: frozenset[str] = frozenset()) -> None:
        self._problem = problem
        self._node_of = _node_numbers(problem, together)
        self._crossing = [t for t in problem.tensors if t.consumers and t.name not in together]
        self._returning = [t for t in problem.tensors if t.is_output and t.producer is not None]
        self._layout = lay_out(self._node_of, self._crossing)
        self._uplink = WayAxes.of([tensor.uplink for tensor in self._crossing], axes.up)
        self._downlink = WayAxes.of([tensor.downlink for tensor in self._returning], axes.down)
        self._made_by = np.array([self._node_of[str(t.producer)] for t in self._returning], dtype=np.int64)
        nodes = list(self._node_of.values())
        self._on_edge = OpAxes.of(problem.ops, axes.on_edge, nodes)
        self._in_cloud = OpAxes.of(problem.ops, axes.in_cloud, nodes)

    def solve(self, weights: Sequence[float], near: WeightedCut | None = None, pins: Pins = NO_PINS) -> WeightedCut:
        """The cheapest cut under `weights` with the way of each tensor, within 1e-12. Raises InfeasibleCut.

        near: an answer under other weights, good here too perhaps: the search starts from its cost (not with pins).
        Where edge-only is no solution: every other cut has an op without readers in the cloud, so one minimum cut for
        each of those covers them.
        """
        values = np.array(weights)
        edge_s, cloud_s = self._on_edge.weighted(values), self._in_cloud.weighted(values)
        np.add.at(cloud_s, self._made_by, self._downlink.least(values, self._closed(self._returning, pins)))
        edge_s[[self._node_of[op] for op in pins.cloud]] = math.inf
        cloud_s[[self._node_of[op] for op in pins.edge]] = math.inf
        uplink_s = self._uplink.least(values, self._closed(self._crossing, pins))
        network = self._layout.network(edge_s, cloud_s, uplink_s)
        side = minimum_source_side(network, None if near is None else near.source_side)
        if self._problem.cloud_required and side is not None and side[: len(edge_s)].all():
            side = self._best_with_cloud(network)
        if side is None:
            raise InfeasibleCut()
        return WeightedCut(self._choice(side.tolist(), values, pins), side)

    def _best_with_cloud(self, network: FlowNetwork) -> _Mask | None:
        read = {tensor.producer for tensor in self._problem.tensors if tensor.consumers}
        last = {node for op, node in self._node_of.items() if op not in read}
        forced = [minimum_source_side(self._layout.forcing_cloud(network, node)) for node in sorted(last)]
        return min((side for side in forced if side is not None), key=network.cut_value, default=None)

    def _closed(self, tensors: Sequence[ParametricTensor], pins: Pins) -> list[tuple[int, int]]:
        if not pins.closed:
            return []
        return [(i, way) for i, tensor in enumerate(tensors) for name, way in pins.closed if name == tensor.name]

    def _choice(self, on_edge: list[bool], weights: _Floats, pins: Pins) -> CutChoice:
        """The cut of that side of the network: one bool a node, the source's true."""
        edge = {op for op, node in self._node_of.items() if on_edge[node]}
        up = [
            i
            for i, tensor in enumerate(self._crossing)
            if (tensor.producer is None or tensor.producer in edge) and not edge.issuperset(tensor.consumers)
        ]
        down = [i for i, node in enumerate(self._made_by.tolist()) if not on_edge[node]]
        up_ways = self._uplink.cheapest(up, weights, self._closed(self._crossing, pins))
        down_ways = self._downlink.cheapest(down, weights, self._closed(self._returning, pins))
        return self._problem.choice(
            edge,
            {self._crossing[i].name: way for i, way in zip(up, up_ways, strict=True)},
            {self._returning[i].name: way for i, way in zip(down, down_ways, strict=True)},
        )


def _node_numbers(problem: ParametricProblem, together: frozenset[str]) -> Mapping[str, int]:
    """A number for each op, in the problem's order; those joined by a tensor of `together` share it."""
    chain_of = {op.name: [op.name] for op in problem.ops}
    for tensor in problem.tensors:
        if tensor.name in together:
            joined = chain_of[str(tensor.producer)]
            joined += chain_of[tensor.consumers[0]]
            chain_of |= dict.fromkeys(joined, joined)
    numbers = {id(chain): number for number, chain in enumerate({id(c): c for c in chain_of.values()}.values())}
    return {op.name: numbers[id(chain_of[op.name])] for op in problem.ops}
