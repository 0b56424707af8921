"""A first guess of op times from two numbers of a device: peak FLOP/s and memory bandwidth.

An op takes at least its arithmetic at peak speed and at least its traffic at full bandwidth (Williams, Waterman and
Patterson, "Roofline", CACM 2009), besides a fixed overhead. Measured times replace it as soon as there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from partitioner.graph import ModelGraph, Op

__all__ = ["Roofline"]


@dataclass(frozen=True, slots=True)
class Roofline:
    """flops_per_s: peak by dtype, "float32" at least; memory_bytes_per_s; op_overhead_s: the least any op takes."""

    flops_per_s: Mapping[str, float]
    memory_bytes_per_s: float
    op_overhead_s: float

    def op_seconds(self, graph: ModelGraph, batch: int) -> Mapping[str, float]:
        """Seconds of every op for a batch."""
        return {op.name: self._seconds(graph, op, batch) for op in graph.ops}

    def _seconds(self, graph: ModelGraph, op: Op, batch: int) -> float:
        touched = [graph.tensors[name] for name in (*op.inputs, *op.outputs)]
        traffic = op.parameter_bytes + sum(tensor.bytes_at(batch) for tensor in touched)
        dtype = next((tensor.dtype for tensor in reversed(touched)), "float32")
        peak = self.flops_per_s.get(dtype, self.flops_per_s["float32"])
        return self.op_overhead_s + max(op.flops_at(batch) / peak, traffic / self.memory_bytes_per_s)
