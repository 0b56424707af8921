"""The costs of a parametric problem as arrays over any number of axes: what a weighting turns into one number each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partitioner.cut_problem import OpCost
from partitioner.parametric_problem import Transfer

__all__ = ["Axes", "OpAxes", "WayAxes", "three_axes"]

_Floats = NDArray[np.float64]
_Mask = NDArray[np.bool_]
_Vector = tuple[float, ...]
_NOWHERE = (Transfer("", 0.0, 0.0, 0.0),)
_NO_OP = OpCost("none", 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Axes:
    """How ops and transfers are spread over the axes: a vector for an op on either side, for a transfer either way."""

    on_edge: Callable[[OpCost], _Vector]
    in_cloud: Callable[[OpCost], _Vector]
    up: Callable[[Transfer], _Vector]
    down: Callable[[Transfer], _Vector]


def three_axes(downlink_ratio: float) -> Axes:
    """Edge seconds, wire bytes (the downlink's times uplink over downlink bandwidth), cloud seconds."""
    return Axes(
        lambda op: (op.edge_s, 0.0, 0.0),
        lambda op: (0.0, 0.0, op.cloud_s),
        lambda way: (way.edge_s, way.wire_bytes, way.cloud_s),
        lambda way: (way.edge_s, way.wire_bytes * downlink_ratio, way.cloud_s),
    )


@dataclass(frozen=True, slots=True)
class OpAxes:
    """The vectors of nodes on one side, [node, axis]; a node is forbidden there where one of its ops is."""

    costs: _Floats
    is_forbidden: _Mask

    @classmethod
    def of(cls, ops: Sequence[OpCost], vector: Callable[[OpCost], _Vector], node_of: Sequence[int]) -> OpAxes:
        """The vectors of ops, added up by node."""
        width = len(vector(_NO_OP))
        given = np.array([vector(op) for op in ops], dtype=float).reshape(len(ops), width)
        forbidden, nodes = np.isinf(given).any(axis=1), np.array(node_of, dtype=np.int64)
        count = int(nodes.max(initial=-1)) + 1
        costs = np.zeros((count, given.shape[1]))
        np.add.at(costs, nodes, np.where(forbidden[:, None], 0.0, given))
        return cls(costs, np.bincount(nodes, forbidden, count) > 0)

    def weighted(self, weights: _Floats) -> _Floats:
        """The cost of each node; what is forbidden stays so under weight zero."""
        return np.where(self.is_forbidden, math.inf, self.costs @ weights)


@dataclass(frozen=True, slots=True)
class WayAxes:
    """The ways of some tensors, [tensor, way, axis]; rows are filled up with their first way."""

    costs: _Floats
    is_forbidden: _Mask
    ways: tuple[int, ...]

    @classmethod
    def of(cls, ways: Sequence[tuple[Transfer, ...]], vector: Callable[[Transfer], _Vector]) -> WayAxes:
        """`ways` of each tensor; a tensor without any is forbidden to cross."""
        rows = [row or _NOWHERE for row in ways]
        widest = max(map(len, rows), default=1)
        costs = [[vector(way) for way in row + row[:1] * (widest - len(row))] for row in rows]
        return cls(
            np.array(costs, dtype=float).reshape(len(rows), widest, len(vector(_NOWHERE[0]))),
            np.array([not row for row in ways], dtype=bool),
            tuple(map(len, rows)),
        )

    def least(self, weights: _Floats, closed: Sequence[tuple[int, int]] = ()) -> _Floats:
        """The cost of each tensor by its cheapest way. closed: (tensor, way) that may not be taken."""
        cost = np.where(self.is_forbidden, math.inf, self._costs(weights, closed).min(axis=1, initial=math.inf))
        return np.asarray(cost)

    def cheapest(self, tensors: list[int], weights: _Floats, closed: Sequence[tuple[int, int]] = ()) -> list[int]:
        """Which way that is for each of these, the first of equals."""
        chosen: list[int] = self._costs(weights, closed)[tensors].argmin(axis=1).tolist()
        return chosen

    def _costs(self, weights: _Floats, closed: Sequence[tuple[int, int]]) -> _Floats:
        costs = self.costs @ weights
        for tensor, way in closed:
            if way < self.ways[tensor]:  # one that is closed on the way up may not be there on the way down
                costs[tensor, way] = math.inf
            costs[tensor, self.ways[tensor] :] = math.inf
        return np.asarray(costs)
