"""The flow network of a cut problem: every cut is an s-t cut of the same cost, less a constant.

Source side = edge, sink side = cloud. An op pays its cloud cost (and its outputs' downlink) on an arc from the source,
its edge cost on an arc to the sink. A tensor with one consumer is an arc from its producer; with several it gets a node
of its own (Hu et al., "Dynamic Adaptive DNN Surgery", INFOCOM 2019, after the hyperedge nodes of Lawler 1973), so that
it is paid once: producer -> tensor carries uplink_s, tensor -> consumers is infinite. An infinite arc from each
consumer back to the producer forbids data that flows from the cloud to the edge.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from partitioner.cut_problem import CutProblem
from partitioner.flow_network import Arcs, FlowNetwork, assemble

__all__ = ["build_network"]

_Indices = NDArray[np.int64]


def build_network(problem: CutProblem) -> FlowNetwork:
    """The network whose minimum cut is the problem's best cut (fixed_s left out: `solve` adds it).

    Nodes: the ops in the problem's order, one for each tensor with several consumers, the source, the sink.
    O(arcs log arcs), in numpy: 1,000 ops take about 2 ms. What an op pays on either side is taken off both of its arcs.
    """
    index = {op.name: i for i, op in enumerate(problem.ops)}
    several = sum(len(tensor.consumers) > 1 for tensor in problem.tensors)
    source = len(index) + several
    pieces = [_op_arcs(problem, index, source), *_tensor_arcs(problem, index, source)]
    arcs = Arcs(
        np.concatenate([piece.tails for piece in pieces]),
        np.concatenate([piece.heads for piece in pieces]),
        np.concatenate([piece.capacity for piece in pieces]),
    )
    return assemble(arcs, source + 2, source, source + 1)


def _op_arcs(problem: CutProblem, index: dict[str, int], source: int) -> Arcs:
    """From the source what the cloud costs more, to the sink what the edge costs more; both where neither may run."""
    edge = np.array([op.edge_s for op in problem.ops])
    cloud = np.array([op.cloud_s for op in problem.ops])
    for tensor in problem.tensors:
        if tensor.is_output and tensor.producer is not None:
            cloud[index[tensor.producer]] += tensor.downlink_s
    shared = np.minimum(edge, cloud)
    shared[np.isinf(shared)] = 0.0  # inf - inf is no number
    ops = np.arange(len(index))
    source_of, sink_of = np.full(len(index), source), np.full(len(index), source + 1)
    return Arcs(
        np.concatenate((source_of, ops)),
        np.concatenate((ops, sink_of)),
        np.concatenate((cloud - shared, edge - shared)),
    )


def _tensor_arcs(problem: CutProblem, index: dict[str, int], source: int) -> tuple[Arcs, Arcs, Arcs]:
    """Producer -> tensor (or its only consumer), tensor -> consumers, consumers -> producer."""
    tensors = [tensor for tensor in problem.tensors if tensor.consumers]
    consumers = np.array([index[name] for tensor in tensors for name in tensor.consumers], dtype=np.int64)
    counts = np.array([len(tensor.consumers) for tensor in tensors], dtype=np.int64)
    producers = np.array([source if t.producer is None else index[t.producer] for t in tensors], dtype=np.int64)
    uplink = np.array([tensor.uplink_s for tensor in tensors])
    has_node = counts > 1
    nodes = len(index) + np.cumsum(has_node) - 1
    first_consumer = consumers[np.cumsum(counts) - counts]
    fans_out = np.repeat(has_node, counts)
    fan_out = _forbidding(np.repeat(nodes, counts)[fans_out], consumers[fans_out])
    made_by = np.repeat(producers, counts)
    is_made = made_by != source
    closure = _forbidding(consumers[is_made], made_by[is_made])
    return Arcs(producers, np.where(has_node, nodes, first_consumer), uplink), fan_out, closure


def _forbidding(tails: _Indices, heads: _Indices) -> Arcs:
    return Arcs(tails, heads, np.full(len(tails), math.inf))
