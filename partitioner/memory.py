"""What a cut takes of a side's memory: the parameters of its ops and the most that is alive while they run.

Parameters: the weights that ops of the side read, each once however many read it. Activations: ops run one by one in
the graph's order; while one runs, its inputs and outputs are alive, and all that is still needed. On the edge that is
what a later edge op reads, what crosses and what is an output (both are kept until the answer is in: the edge may
have to finish), and all model inputs from the start. In the cloud all that crossed is alive from the start, until its
last reader there has run; outputs until the end. What an engine needs besides (workspaces, code) is not in it, nor what
an edge takes that finishes alone when the cloud does not answer: that is `edge` of all ops.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from partitioner.graph import ModelGraph, TensorInfo

__all__ = ["MemoryModel"]


@dataclass(frozen=True)
class MemoryModel:
    """The memory of the cuts of one graph at one batch size. All results are bytes."""

    graph: ModelGraph
    batch: int = 1

    @cached_property
    def weights_of(self) -> dict[str, dict[str, int]]:
        """The bytes of each weight that an op reads, by op and weight; a graph that names none has one for each op."""
        sizes = self.graph.weight_bytes
        return {
            op.name: {name: sizes[name] for name in op.weights}
            or ({f"weights of {op.name}": op.parameter_bytes} if op.parameter_bytes else {})
            for op in self.graph.ops
        }

    @cached_property
    def _index(self) -> dict[str, int]:
        return {op.name: i for i, op in enumerate(self.graph.ops)}

    def parameters(self, ops: Iterable[str]) -> int:
        """What the weights of these ops take, each once."""
        weights: dict[str, int] = {}
        for op in ops:
            weights |= self.weights_of[op]
        return sum(weights.values())

    def edge(self, edge_ops: frozenset[str]) -> int:
        """Parameters and peak activations of the prefix of a cut."""
        return self.parameters(edge_ops) + self._peak(edge_ops, [self._on_edge(t, edge_ops) for t in self._tensors()])

    def cloud(self, edge_ops: frozenset[str]) -> int:
        """Parameters and peak activations of the suffix of a cut."""
        rest = self._index.keys() - edge_ops
        return self.parameters(rest) + self._peak(rest, [self._in_cloud(t, edge_ops) for t in self._tensors()])

    def edge_at_least(self, edge_ops: frozenset[str], cloud_ops: frozenset[str] = frozenset()) -> int:
        """A lower bound of `edge` for every cut that has these ops on these sides.

        A tensor made by `edge_ops` is alive until its last reader, whichever side that is on.
        """
        spans = [self._surely_on_edge(tensor, edge_ops, cloud_ops) for tensor in self._tensors()]
        return self.parameters(edge_ops) + self._peak(edge_ops, spans)

    def cloud_at_least(self, cloud_ops: frozenset[str]) -> int:
        """A lower bound of `cloud` for every cut that has these ops in the cloud."""
        spans = [self._surely_in_cloud(tensor, cloud_ops) for tensor in self._tensors()]
        return self.parameters(cloud_ops) + self._peak(cloud_ops, spans)

    # ---- spans: first and last op (by index) while whose run a tensor is alive; -1 is before the first -----------

    def _tensors(self) -> Iterable[TensorInfo]:
        return self.graph.tensors.values()

    def _on_edge(self, tensor: TensorInfo, edge: frozenset[str]) -> tuple[int, int] | None:
        if tensor.producer is not None and tensor.producer not in edge:
            return None
        stays = tensor.is_output or not edge.issuperset(tensor.consumers)
        return (self._made(tensor), len(self._index) if stays else self._last_reader(tensor, tensor.consumers))

    def _surely_on_edge(
        self, tensor: TensorInfo, edge: frozenset[str], cloud: frozenset[str]
    ) -> tuple[int, int] | None:
        if tensor.producer is not None and tensor.producer not in edge:
            return None
        stays = tensor.is_output or not cloud.isdisjoint(tensor.consumers)
        return (self._made(tensor), len(self._index) if stays else self._last_reader(tensor, tensor.consumers))

    def _in_cloud(self, tensor: TensorInfo, edge: frozenset[str]) -> tuple[int, int] | None:
        readers = [name for name in tensor.consumers if name not in edge]
        if tensor.producer is None or tensor.producer in edge:
            return (-1, self._last_reader(tensor, readers)) if readers else None
        return (self._made(tensor), len(self._index) if tensor.is_output else self._last_reader(tensor, readers))

    def _surely_in_cloud(self, tensor: TensorInfo, cloud: frozenset[str]) -> tuple[int, int] | None:
        made_here = tensor.producer in cloud
        readers = [name for name in tensor.consumers if name in cloud]
        if not readers and not made_here:
            return None
        stays = tensor.is_output and made_here
        return (self._made(tensor), len(self._index) if stays else self._last_reader(tensor, readers))

    def _made(self, tensor: TensorInfo) -> int:
        return -1 if tensor.producer is None else self._index[tensor.producer]

    def _last_reader(self, tensor: TensorInfo, readers: Iterable[str]) -> int:
        return max((self._index[name] for name in readers), default=self._made(tensor))

    def _peak(self, ops: Iterable[str], spans: list[tuple[int, int] | None]) -> int:
        """The most that is alive before the first op, or while one of `ops` runs."""
        change = [0] * (len(self._index) + 3)
        for tensor, span in zip(self._tensors(), spans, strict=True):
            if span is not None:
                size = tensor.bytes_at(self.batch)
                change[span[0] + 1] += size
                change[span[1] + 2] -= size
        alive = list(accumulate(change))
        return max([alive[0], *(alive[self._index[op] + 1] for op in ops)])
