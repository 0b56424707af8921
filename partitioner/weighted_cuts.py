"""The minimum cut of one parametric problem under any weights of its three axes, built once and re-weighted.

Axes: edge seconds, wire bytes (uplink + downlink_ratio * downlink), cloud seconds. Under weights w a tensor costs the
least of its ways, so the cheapest cut and the way of each tensor come from one minimum cut. What is built once is the
layout of the flow network, with ops that no cut needs to part taken together (`chains`); a new weighting is a few numpy
products over its arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InfeasibleCut
from partitioner.chains import never_needed
from partitioner.cut_network import lay_out
from partitioner.flow_network import FlowNetwork
from partitioner.min_cut import minimum_source_side
from partitioner.parametric_problem import CutChoice, ParametricProblem, Transfer

__all__ = ["WeightedCut", "WeightedCuts", "Weights"]

Weights = tuple[float, float, float]
_Floats = NDArray[np.float64]
_Mask = NDArray[np.bool_]
_NOWHERE = (Transfer("", 0.0, 0.0, 0.0),)


@dataclass(frozen=True, slots=True)
class _Ways:
    """The ways of some tensors as one array [tensor, way, axis]; rows are filled up with their first way."""

    costs: _Floats
    is_forbidden: _Mask

    @classmethod
    def of(cls, ways: Sequence[tuple[Transfer, ...]], bytes_factor: float) -> _Ways:
        """`ways` of each tensor; a tensor without any is forbidden to cross."""
        rows = [row or _NOWHERE for row in ways]
        widest = max(map(len, rows), default=1)
        costs = [
            [(way.edge_s, way.wire_bytes * bytes_factor, way.cloud_s) for way in row + row[:1] * (widest - len(row))]
            for row in rows
        ]
        return cls(np.array(costs, dtype=float).reshape(-1, widest, 3), np.array([not row for row in ways], dtype=bool))

    def least(self, weights: _Floats) -> _Floats:
        """The cost of each tensor by its cheapest way."""
        return np.where(self.is_forbidden, math.inf, (self.costs @ weights).min(axis=1, initial=math.inf))

    def cheapest(self, tensors: list[int], weights: _Floats) -> list[int]:
        """Which way that is for each of these, the first of equals."""
        chosen: list[int] = (self.costs[tensors] @ weights).argmin(axis=1).tolist()
        return chosen


@dataclass(frozen=True, slots=True, eq=False)
class WeightedCut:
    """A cut, and the source side of the network that it is."""

    choice: CutChoice
    source_side: _Mask


class WeightedCuts:
    """Minimum cuts of `problem` under weights. downlink_ratio: uplink bandwidth over downlink bandwidth."""

    def __init__(self, problem: ParametricProblem, downlink_ratio: float = 1.0) -> None:
        self._problem = problem
        together = never_needed(problem)
        self._node_of = _node_numbers(problem, together)
        self._crossing = [t for t in problem.tensors if t.consumers and t.name not in together]
        self._returning = [t for t in problem.tensors if t.is_output and t.producer is not None]
        self._layout = lay_out(self._node_of, self._crossing)
        self._uplink = _Ways.of([tensor.uplink for tensor in self._crossing], 1.0)
        self._downlink = _Ways.of([tensor.downlink for tensor in self._returning], downlink_ratio)
        self._made_by = np.array([self._node_of[str(t.producer)] for t in self._returning], dtype=np.int64)
        nodes = np.array(list(self._node_of.values()), dtype=np.int64)
        self._edge_s = _sums(nodes, [op.edge_s for op in problem.ops])
        self._cloud_s = _sums(nodes, [op.cloud_s for op in problem.ops])

    def solve(self, weights: Weights, near: WeightedCut | None = None) -> WeightedCut:
        """The cheapest cut under `weights` with the way of each tensor, within 1e-12. Raises InfeasibleCut.

        near: an answer under other weights, good here too perhaps: the search starts from its cost.
        Where edge-only is no solution: every other cut has an op without readers in the cloud, so one minimum cut for
        each of those covers them.
        """
        values = np.array(weights)
        edge_s, cloud_s = _weighted(self._edge_s, weights[0]), _weighted(self._cloud_s, weights[2])
        np.add.at(cloud_s, self._made_by, self._downlink.least(values))
        network = self._layout.network(edge_s, cloud_s, self._uplink.least(values))
        side = minimum_source_side(network, None if near is None else near.source_side)
        if self._problem.cloud_required and side is not None and side[: len(edge_s)].all():
            side = self._best_with_cloud(network)
        if side is None:
            raise InfeasibleCut()
        return WeightedCut(self._choice(side.tolist(), values), side)

    def _best_with_cloud(self, network: FlowNetwork) -> _Mask | None:
        read = {tensor.producer for tensor in self._problem.tensors if tensor.consumers}
        last = {node for op, node in self._node_of.items() if op not in read}
        forced = [minimum_source_side(self._layout.forcing_cloud(network, node)) for node in sorted(last)]
        return min((side for side in forced if side is not None), key=network.cut_value, default=None)

    def _choice(self, on_edge: list[bool], weights: _Floats) -> CutChoice:
        """The cut of that side of the network: one bool a node, the source's true."""
        edge = {op for op, node in self._node_of.items() if on_edge[node]}
        up = [
            i
            for i, tensor in enumerate(self._crossing)
            if (tensor.producer is None or tensor.producer in edge) and not edge.issuperset(tensor.consumers)
        ]
        down = [i for i, node in enumerate(self._made_by.tolist()) if not on_edge[node]]
        return self._problem.choice(
            edge,
            {self._crossing[i].name: way for i, way in zip(up, self._uplink.cheapest(up, weights), strict=True)},
            {self._returning[i].name: way for i, way in zip(down, self._downlink.cheapest(down, weights), strict=True)},
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


def _sums(nodes: NDArray[np.int64], seconds: list[float]) -> _Floats:
    """The seconds of each node's ops."""
    return np.bincount(nodes, seconds).astype(np.float64)


def _weighted(seconds: _Floats, weight: float) -> _Floats:
    """Forbidden stays forbidden under weight zero."""
    forbidden = np.isinf(seconds)
    return np.where(forbidden, math.inf, np.where(forbidden, 0.0, seconds) * weight)
