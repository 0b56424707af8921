"""What a plan, which holds one item's bytes, sends for a request of several items."""

from __future__ import annotations

import math
from collections.abc import Iterable

from partitioner.graph import ModelGraph
from partitioner.plan import TensorCodec

__all__ = ["request_bytes", "request_spread_bytes"]


def request_bytes(tensors: Iterable[TensorCodec], graph: ModelGraph, batch: int) -> int:
    """Expected bytes on the wire of these tensors of `graph` together: as many times one item's as the tensor itself
    is larger, which one without a batch dimension is not."""
    return sum(round(tensor.bytes * _growth(tensor, graph, batch)) for tensor in tensors)


def request_spread_bytes(tensor: TensorCodec, batch: int) -> int:
    """By how much the tensor of one request differs from that of another: items make up for each other."""
    return round(tensor.spread_bytes * math.sqrt(batch))


def _growth(tensor: TensorCodec, graph: ModelGraph, batch: int) -> float:
    info = graph.tensors[tensor.tensor]
    return info.bytes_at(batch) / info.bytes if info.bytes else 1.0
