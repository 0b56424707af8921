"""A first guess of op times from two numbers of a device: peak FLOP/s and memory bandwidth.

An op takes at least its arithmetic at peak speed and at least its traffic at full bandwidth (Williams, Waterman and
Patterson, "Roofline", CACM 2009), besides a fixed overhead. Measured times replace it as soon as there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from partitioner.graph import ModelGraph, Op

__all__ = ["Roofline", "kind_group", "op_group"]

_MATMULS = ("mm", "matmul", "linear", "gemm", "einsum", "attention")
_ROUNDING = "quantizelinear"
"""Ends the names of ONNX's operators that go to a grid of numbers and back; "linear" says how."""
# What stands in for a kind that a profile, an older one perhaps, has no peak of.
_NEAREST = {"depthwise": "convolution"}


@dataclass(frozen=True, slots=True)
class Roofline:
    """flops_per_s: peak by dtype, "float32" at least; memory_bytes_per_s; op_overhead_s: the least any op takes.

    kind_flops_per_s: the peak of "convolution float32", "depthwise float32", "matmul float32", ... where it was
    measured apart.
    """

    flops_per_s: Mapping[str, float]
    memory_bytes_per_s: float
    op_overhead_s: float
    kind_flops_per_s: Mapping[str, float] = field(default_factory=dict)

    def op_seconds(self, graph: ModelGraph, batch: int) -> Mapping[str, float]:
        """Seconds of every op for a batch."""
        return {op.name: self._seconds(graph, op, batch) for op in graph.ops}

    def _seconds(self, graph: ModelGraph, op: Op, batch: int) -> float:
        touched = [graph.tensors[name] for name in (*op.inputs, *op.outputs)]
        traffic = op.parameter_bytes + sum(tensor.bytes_at(batch) for tensor in touched)
        dtype = next((tensor.dtype for tensor in reversed(touched)), "float32")
        return self.op_overhead_s + max(
            op.flops_at(batch) / self._peak(op_group(graph, op), dtype), traffic / self.memory_bytes_per_s
        )

    def _peak(self, group: str, dtype: str) -> float:
        kinds = (f"{name} {dtype}" for name in (group, _NEAREST.get(group, group)))
        known = (self.kind_flops_per_s[kind] for kind in kinds if kind in self.kind_flops_per_s)
        return next(known, self.flops_per_s.get(dtype, self.flops_per_s["float32"]))


def op_group(graph: ModelGraph, op: Op) -> str:
    """As `kind_group`; "depthwise" for a convolution with filters for each channel alone, which reuse nothing that was
    loaded and so reach a fraction of what others do."""
    group = kind_group(op.kind)
    if group != "convolution" or op.groups == 1:
        return group
    shape = graph.tensors[op.inputs[0]].shape_at(1)
    return "depthwise" if len(shape) > 1 and shape[1] == op.groups else group


def kind_group(kind: str) -> str:
    """ "convolution", "matmul" or "other", from an op's kind in ATen's or ONNX's words."""
    name = kind.lower()
    if "conv" in name:
        return "convolution"
    return "matmul" if any(word in name for word in _MATMULS) and not name.endswith(_ROUNDING) else "other"
