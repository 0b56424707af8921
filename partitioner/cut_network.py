"""The flow network of a cut problem: every cut is an s-t cut of the same cost, less a constant.

Source side = edge, sink side = cloud. An op pays its cloud cost (and its outputs' downlink) on an arc from the source,
its edge cost on an arc to the sink. A tensor with one consumer is an arc from its producer; with several it gets a node
of its own (Hu et al., "Dynamic Adaptive DNN Surgery", INFOCOM 2019, after the hyperedge nodes of Lawler 1973), so that
it is paid once: producer -> tensor carries uplink_s, tensor -> consumers is infinite. An infinite arc from each
consumer back to the producer forbids data that flows from the cloud to the edge.

The shape depends on ops and tensors alone, so it is laid out once (`lay_out`) and filled with costs as often as wanted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from partitioner.cut_problem import CutProblem
from partitioner.flow_network import FlowNetwork, Shape, shape_of

__all__ = ["Layout", "build_network", "lay_out"]

_Indices = NDArray[np.int64]
_Floats = NDArray[np.float64]


class _Tensor(Protocol):
    """The ends of a tensor."""

    @property
    def producer(self) -> str | None: ...
    @property
    def consumers(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each cost goes. Nodes: those of ops, one for each tensor with several consumers, the source, the sink.

    infinite: how many arcs forbid something, after those of the ops and of the tensors with consumers.
    """

    op_nodes: int
    infinite: int
    shape: Shape

    def network(self, edge_s: _Floats, cloud_s: _Floats, uplink_s: _Floats) -> FlowNetwork:
        """The network for these costs: of each op node on either side (downlink included), of each tensor with
        consumers.

        What a node pays on either side is taken off both of its arcs.
        """
        shared = np.minimum(edge_s, cloud_s)
        shared[np.isinf(shared)] = 0.0  # inf - inf is no number
        forbidding = np.full(self.infinite, math.inf)
        return self.shape.filled(np.concatenate((cloud_s - shared, edge_s - shared, uplink_s, forbidding)))

    def forcing_cloud(self, network: FlowNetwork, node: int) -> FlowNetwork:
        """`network` with that op node forbidden on the edge."""
        capacity = network.capacity.copy()
        capacity[self.shape.position[self.op_nodes + node]] = math.inf
        return replace(network, capacity=capacity)


def build_network(problem: CutProblem) -> FlowNetwork:
    """The network whose minimum cut is the problem's best cut (fixed_s left out: `solve` adds it).

    O(arcs log arcs), in numpy.
    """
    layout = lay_out({op.name: i for i, op in enumerate(problem.ops)}, problem.tensors)
    cloud = {op.name: op.cloud_s for op in problem.ops}
    for tensor in problem.tensors:
        if tensor.is_output and tensor.producer is not None:
            cloud[tensor.producer] += tensor.downlink_s
    edge_s = np.array([op.edge_s for op in problem.ops])
    uplink_s = np.array([tensor.uplink_s for tensor in problem.tensors if tensor.consumers])
    return layout.network(edge_s, np.array(list(cloud.values())), uplink_s)


def lay_out(node_of: Mapping[str, int], tensors: Sequence[_Tensor]) -> Layout:
    """The layout for the nodes of ops (0 and up; ops that stay together share one) and the tensors between nodes."""
    op_nodes = max(node_of.values(), default=-1) + 1
    read = [tensor for tensor in tensors if tensor.consumers]
    source = op_nodes + sum(len(tensor.consumers) > 1 for tensor in read)
    nodes = np.arange(op_nodes)
    ends = (np.full(op_nodes, source), nodes), (nodes, np.full(op_nodes, source + 1))
    arcs = (*ends, *_tensor_arcs(read, node_of, op_nodes, source))
    tails, heads = (np.concatenate(column) for column in zip(*arcs, strict=True))
    shape = shape_of(tails, heads, source + 2, source, source + 1)
    return Layout(op_nodes, len(arcs[3][0]) + len(arcs[4][0]), shape)


def _tensor_arcs(
    tensors: Sequence[_Tensor], node_of: Mapping[str, int], op_nodes: int, source: int
) -> tuple[tuple[_Indices, _Indices], ...]:
    """Producer -> tensor (or its only consumer), tensor -> consumers, consumers -> producer."""
    consumers = np.array([node_of[name] for tensor in tensors for name in tensor.consumers], dtype=np.int64)
    counts = np.array([len(tensor.consumers) for tensor in tensors], dtype=np.int64)
    producers = np.array([source if t.producer is None else node_of[t.producer] for t in tensors], dtype=np.int64)
    has_node = counts > 1
    nodes = op_nodes + np.cumsum(has_node) - 1
    first_consumer = consumers[np.cumsum(counts) - counts]
    fans_out = np.repeat(has_node, counts)
    made_by = np.repeat(producers, counts)
    is_made = made_by != source
    return (
        (producers, np.where(has_node, nodes, first_consumer)),
        (np.repeat(nodes, counts)[fans_out], consumers[fans_out]),
        (consumers[is_made], made_by[is_made]),
    )
