"""A cut problem before anybody says how fast the link is and how loaded the sides are.

Every cost is a vector: seconds on the edge, bytes each way, seconds in the cloud. A condition turns it into seconds:

total = edge_load * edge seconds + bytes / bandwidth + cloud_load * cloud seconds + round trip, unless all is on the
edge.

A tensor may cross in several ways (codecs); under any condition it takes the cheapest, so each condition is a
`CutProblem`, which a minimum cut solves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from partitioner.condition import Condition, CostVector
from partitioner.cut_problem import CutProblem, OpCost, TensorCost

__all__ = ["CutChoice", "ParametricProblem", "ParametricTensor", "Transfer"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """One way to move one tensor: its bytes on the wire, and seconds of coding on the edge and in the cloud.

    Upwards the edge encodes and the cloud decodes, downwards the other way round.
    """

    codec: str
    edge_s: float
    wire_bytes: float
    cloud_s: float


@dataclass(frozen=True, slots=True)
class ParametricTensor:
    """A tensor with the ways it may cross; none: it must not.

    producer: the op that makes it, None for a model input. downlink: for an output that the cloud makes.
    """

    name: str
    producer: str | None
    consumers: tuple[str, ...]
    uplink: tuple[Transfer, ...]
    is_output: bool = False
    downlink: tuple[Transfer, ...] = ()


@dataclass(frozen=True, slots=True)
class CutChoice:
    """A cut, the way each crossing tensor takes (index in its `uplink` or `downlink`), and what all that costs."""

    edge_ops: frozenset[str]
    uplink: Mapping[str, int]
    downlink: Mapping[str, int]
    costs: CostVector


@dataclass(frozen=True, slots=True)
class ParametricProblem:
    """Ops (seconds at load 1; `math.inf` forbids a side) and tensors. cloud_required: edge-only is no solution."""

    ops: tuple[OpCost, ...]
    tensors: tuple[ParametricTensor, ...]
    cloud_required: bool = False

    def at(self, condition: Condition) -> CutProblem:
        """The cut problem of the latency under `condition`; `cloud_required` is not part of it."""
        link, up_load, down_load = condition.link, condition.edge_load, condition.cloud_load

        def quickest(ways: tuple[Transfer, ...], wire_s: Callable[[float], float]) -> float:
            costs = (up_load * way.edge_s + wire_s(way.wire_bytes) + down_load * way.cloud_s for way in ways)
            return min(costs, default=math.inf)

        tensors = [
            TensorCost(
                tensor.name,
                tensor.producer,
                tensor.consumers,
                quickest(tensor.uplink, link.uplink_s),
                tensor.is_output,
                quickest(tensor.downlink, link.downlink_s),
            )
            for tensor in self.tensors
        ]
        ops = [OpCost(op.name, op.edge_s * up_load, op.cloud_s * down_load) for op in self.ops]
        return CutProblem(ops, tensors, link.rtt_s)

    def choice(self, edge_ops: Iterable[str], uplink: Mapping[str, int], downlink: Mapping[str, int]) -> CutChoice:
        """A cut that is known to be closed, with the way of every crossing tensor, and its costs."""
        edge = frozenset(edge_ops)
        tensors = {tensor.name: tensor for tensor in self.tensors}
        ups = [tensors[name].uplink[way] for name, way in uplink.items()]
        downs = [tensors[name].downlink[way] for name, way in downlink.items()]
        coding = (*ups, *downs)
        costs = CostVector(
            math.fsum((*(op.edge_s for op in self.ops if op.name in edge), *(way.edge_s for way in coding))),
            math.fsum(way.wire_bytes for way in ups),
            math.fsum(way.wire_bytes for way in downs),
            math.fsum((*(op.cloud_s for op in self.ops if op.name not in edge), *(way.cloud_s for way in coding))),
        )
        return CutChoice(edge, dict(uplink), dict(downlink), costs)
