"""A flow network as flat arrays in CSR order, with every arc in both directions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

__all__ = ["Arcs", "FlowNetwork", "Shape", "assemble", "shape_of"]

_Indices = NDArray[np.int64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Arcs:
    """Directed arcs: tails, heads (int64 node numbers) and capacities (float64 or int64), one entry each."""

    tails: _Indices
    heads: _Indices
    capacity: NDArray[Any]


@dataclass(frozen=True, slots=True)
class FlowNetwork:
    """Arcs sorted by tail, then head; where only one direction was given, the other has capacity 0.

    twin: the position of each arc's opposite. indptr: int32, the CSR row pointers. capacity: float64 or int64.
    """

    node_count: int
    source: int
    sink: int
    tails: _Indices
    heads: _Indices
    twin: _Indices
    indptr: NDArray[np.int32]
    capacity: NDArray[Any]

    def csr(self, data: NDArray[np.int32]) -> csr_array:
        """`data`, one entry an arc, as a sparse matrix; zeros stay explicit."""
        return csr_array((data, self.heads.astype(np.int32), self.indptr), shape=(self.node_count, self.node_count))

    def open_csr(self, is_open: _Mask) -> csr_array:
        """The open arcs alone, each with the value 1."""
        ends = np.concatenate(([0], np.cumsum(is_open)))
        indptr = ends[self.indptr].astype(np.int32)
        heads = self.heads[is_open].astype(np.int32)
        return csr_array((np.ones(len(heads)), heads, indptr), shape=(self.node_count, self.node_count))

    def reached_from_source(self, is_open: _Mask) -> _Mask:
        """The nodes that open arcs lead to from the source: one bool a node."""
        return self._reached(is_open, self.source)

    def reaching_sink(self, is_open: _Mask) -> _Mask:
        """The nodes from which open arcs lead to the sink: one bool a node."""
        return self._reached(is_open[self.twin], self.sink)

    def crossing(self, source_side: _Mask) -> _Mask:
        """The arcs from the source side to the other: one bool an arc."""
        return source_side[self.tails] & ~source_side[self.heads]

    def cut_value(self, source_side: _Mask) -> float:
        """The correctly rounded sum of the capacities that cross."""
        return math.fsum(self.capacity[self.crossing(source_side)].tolist())

    def _reached(self, is_open: _Mask, start: int) -> _Mask:
        reached = np.zeros(self.node_count, dtype=np.bool_)
        reached[breadth_first_order(self.open_csr(is_open), start, return_predecessors=False)] = True
        return reached


@dataclass(frozen=True, slots=True)
class Shape:
    """A network without capacities, and where in it the capacity of each given arc goes (parallel arcs share one)."""

    empty: FlowNetwork
    position: _Indices

    def filled(self, capacity: NDArray[np.float64]) -> FlowNetwork:
        """The network with these capacities, one entry for each arc given; parallel ones add up."""
        total = np.bincount(self.position, capacity, len(self.empty.tails))
        return replace(self.empty, capacity=total)


def shape_of(tails: _Indices, heads: _Indices, node_count: int, source: int, sink: int) -> Shape:
    """The shape of arcs between so many nodes. O(arcs log arcs)."""
    count = len(tails)
    both = np.concatenate((tails * node_count + heads, heads * node_count + tails))
    keys, position = np.unique(both, return_inverse=True)
    twin = np.empty(len(keys), dtype=np.int64)
    twin[position[:count]], twin[position[count:]] = position[count:], position[:count]
    network_tails, network_heads = np.divmod(keys, node_count)
    empty = FlowNetwork(
        node_count=node_count,
        source=source,
        sink=sink,
        tails=network_tails,
        heads=network_heads,
        twin=twin,
        indptr=np.searchsorted(network_tails, np.arange(node_count + 1)).astype(np.int32),
        capacity=np.zeros(len(keys)),
    )
    return Shape(empty, position[:count])


def assemble(arcs: Arcs, node_count: int, source: int, sink: int) -> FlowNetwork:
    """The network of `arcs`: both directions, parallel arcs added up, zeros and loops left out. O(arcs log arcs)."""
    is_arc = (arcs.capacity > 0) & (arcs.tails != arcs.heads)
    shape = shape_of(arcs.tails[is_arc], arcs.heads[is_arc], node_count, source, sink)
    total = np.zeros(len(shape.empty.tails), dtype=arcs.capacity.dtype)
    np.add.at(total, shape.position, arcs.capacity[is_arc])
    return replace(shape.empty, capacity=total)
