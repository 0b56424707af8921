"""ModelGraph: the DAG of a model's ops and tensors, with the numbers that a cut is chosen by. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import networkx as nx

from isthmus.errors import InvalidModel, InvalidPlan, NotFound

__all__ = ["DTYPE_BYTES", "Dimension", "ModelGraph", "Op", "TensorInfo"]

DTYPE_BYTES: Mapping[str, int] = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}
"""Bytes of one element of each dtype that a tensor may have."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of a tensor: per_item * batch + fixed."""

    per_item: int
    fixed: int

    def at(self, batch: int) -> int:
        """Its length for `batch` items."""
        return self.per_item * batch + self.fixed


@dataclass(frozen=True, slots=True)
class Op:
    """One operator: `kind` is its ATen name, `inputs` and `outputs` are tensor names (activations, never parameters).

    flops: for a batch of one; for any other it is flops_per_item * batch + flops_fixed (see `flops_at`).
    parameter_bytes: what its weights and constants weigh. weights: their names; others may read them too. groups: of a
    convolution, into how many parts its channels are split. flops_are_least: it may compute more, as data decides how
    much. is_of_one_place: a convolution whose window is one place, which changes each by itself.
    """

    name: str
    kind: str
    flops: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameter_bytes: int
    flops_per_item: int
    flops_fixed: int
    weights: tuple[str, ...] = ()
    groups: int = 1
    flops_are_least: bool = False
    is_of_one_place: bool = False

    def flops_at(self, batch: int) -> int:
        """Floating point operations (a multiply-add counts two) for `batch` items."""
        return self.flops_per_item * batch + self.flops_fixed


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: producer is None for a model input (and for an output that depends on no input's values)."""

    name: str
    dtype: str
    shape: tuple[Dimension, ...]
    producer: str | None
    consumers: tuple[str, ...]
    is_output: bool

    @property
    def bytes(self) -> int:
        """Its size for a batch of one."""
        return self.bytes_at(1)

    @property
    def carries_batch(self) -> bool:
        """Whether the batch size can be read from its shape."""
        return any(d.per_item for d in self.shape)

    @property
    def rows_are_items(self) -> bool:
        """Whether the first dimension is the batch, and no other has to do with it."""
        return self.shape[:1] == (Dimension(1, 0),) and not any(d.per_item for d in self.shape[1:])

    def shape_at(self, batch: int) -> tuple[int, ...]:
        """Its shape for `batch` items."""
        return tuple(d.at(batch) for d in self.shape)

    def bytes_at(self, batch: int) -> int:
        """Its size for `batch` items."""
        return prod(self.shape_at(batch)) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class ModelGraph:
    """Ops in topological order and the tensors between them.

    An op is one exported call. Fetching one result of a multi-output op belongs to that op; values that depend on no
    input's contents (sizes, arithmetic on them, ops of constants only) are no ops: each segment makes its own.
    inputs, outputs: tensor names in the model's order; a name may stand in `outputs` twice, or be an input.
    batch_readers: the ops that read the batch size as a number, so that the cloud must be able to tell it.
    weight_bytes: what each weight that an op names weighs.
    """

    ops: tuple[Op, ...]
    tensors: Mapping[str, TensorInfo]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    batch_readers: frozenset[str] = frozenset()
    weight_bytes: Mapping[str, int] = field(default_factory=dict)
    _index: Mapping[str, Op] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {op.name: op for op in self.ops})
        if len(self._index) != len(self.ops):
            raise InvalidModel("graph", "two ops have one name", remedy="give every op its own name")

    @property
    def least_counted(self) -> tuple[str, ...]:
        """The ops that may compute more than is counted."""
        return tuple(op.name for op in self.ops if op.flops_are_least)

    def op(self, name: str) -> Op:
        """The op of that name. Raises NotFound."""
        try:
            return self._index[name]
        except KeyError:
            raise NotFound(f"the model has no op {name!r}; its ops are in model.graph.ops") from None

    def networkx(self) -> nx.DiGraph:
        """Ops as nodes (attribute `op`), an edge (attribute `tensors`, a tuple of names) from producer to consumer."""
        graph = nx.DiGraph()
        graph.add_nodes_from((op.name, {"op": op}) for op in self.ops)
        for op in self.ops:
            for name in op.inputs:
                producer = self.tensors[name].producer
                if producer is not None:
                    before = graph.get_edge_data(producer, op.name, {"tensors": ()})["tensors"]
                    graph.add_edge(producer, op.name, tensors=(*before, name))
        return graph

    def check_closed(self, edge_ops: Iterable[str]) -> frozenset[str]:
        """`edge_ops` as a set, once it is a cut: known ops, closed under predecessors.

        Raises InvalidPlan naming the unknown op, or the op and the predecessor that is missing.
        """
        edge = frozenset(edge_ops)
        unknown = sorted(edge - self._index.keys())
        if unknown:
            raise InvalidPlan(
                "edge_ops", f"the model has no op {unknown[0]!r}", remedy="take names from model.graph.ops"
            )
        for op in self.ops:
            if op.name in edge:
                self._check_predecessors(op, edge)
        return edge

    def _check_predecessors(self, op: Op, edge: frozenset[str]) -> None:
        for name in op.inputs:
            producer = self.tensors[name].producer
            if producer is not None and producer not in edge:
                raise InvalidPlan(
                    "edge_ops",
                    f"{op.name!r} runs on the edge but its predecessor {producer!r} does not",
                    remedy=f"add {producer!r} or leave {op.name!r} out",
                )

    def boundary(self, edge_ops: Iterable[str]) -> tuple[str, ...]:
        """The tensors that cross for this cut: model inputs first, then in the order in which they are made.

        When cloud ops read the batch size and no crossing tensor tells it, the smallest edge tensor that does joins.
        Raises InvalidPlan when `edge_ops` is not a cut.
        """
        edge = self.check_closed(edge_ops)
        cloud = self._index.keys() - edge
        crossing = [t.name for t in self._edge_tensors(edge) if not cloud.isdisjoint(t.consumers)]
        if not self.batch_readers.isdisjoint(cloud) and not any(self.tensors[n].carries_batch for n in crossing):
            crossing = self._with_batch_carrier(edge, crossing)
        return tuple(crossing)

    def kept(self, edge_ops: Iterable[str]) -> tuple[str, ...]:
        """The outputs that never cross, each once, in output order: made on the edge, or no op makes them.

        Raises InvalidPlan when `edge_ops` is not a cut.
        """
        edge = self.check_closed(edge_ops)
        return tuple(n for n in dict.fromkeys(self.outputs) if self._is_on_edge(self.tensors[n], edge))

    def _is_on_edge(self, tensor: TensorInfo, edge: frozenset[str]) -> bool:
        return tensor.producer is None or tensor.producer in edge

    def _edge_tensors(self, edge: frozenset[str]) -> Iterator[TensorInfo]:
        """What the edge has, in a fixed order: inputs, then what its ops make."""
        yield from (self.tensors[n] for n in self.inputs)
        for op in self.ops:
            if op.name in edge:
                yield from (self.tensors[n] for n in op.outputs)

    def _with_batch_carrier(self, edge: frozenset[str], crossing: list[str]) -> list[str]:
        have = list(self._edge_tensors(edge))
        carriers = [t for t in have if t.carries_batch]
        if not carriers:
            raise InvalidModel("graph", "no tensor tells the batch size", remedy="give an input a batch dimension")
        smallest = min(carriers, key=lambda t: t.bytes)  # min keeps the first of equals: deterministic
        chosen = {*crossing, smallest.name}
        return [t.name for t in have if t.name in chosen]
