"""The ModelGraph of an ONNX graph: which nodes are ops, what flows between them, what they weigh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import onnx
import torch

from partitioner.einsum_equation import einsum_kind
from partitioner.graph import Dimension, ModelGraph, Op, TensorInfo
from partitioner.onnx_bodies import Surroundings, bytes_inside, counted_flops
from partitioner.onnx_form import ELEMENT_TYPES, reads
from partitioner.program import TensorType

__all__ = ["onnx_graph"]

_BATCHES = (2, 5)
# Among what a convolution reads.
_KERNELS_AT: Mapping[str, int] = {"Conv": 1, "ConvInteger": 1, "ConvTranspose": 1, "QLinearConv": 3}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a value stands on: tensors that flow, constants, whether it depends on the batch without a tensor."""

    tensors: tuple[str, ...] = ()
    constants: frozenset[str] = frozenset()
    reads_batch: bool = False


@dataclass(slots=True)
class _Derivation:
    """One walk over the nodes. constants: bytes and shape of every initializer."""

    proto: onnx.ModelProto
    weights: Mapping[str, torch.Tensor]
    types: Mapping[str, TensorType]
    facts: dict[str, _Facts] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    batch_readers: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    around: tuple[Surroundings, ...] = ()

    def run(self) -> None:
        self._read_constants()
        for value in self.proto.graph.input:
            self.facts[value.name] = _Facts(tensors=(value.name,))
        for node in self.proto.graph.node:
            self._visit(node)

    def _read_constants(self) -> None:
        shapes: dict[str, tuple[int, ...]] = {name: tuple(w.shape) for name, w in self.weights.items()}
        self.sizes = {name: w.nbytes for name, w in self.weights.items()}
        for constant in self.proto.graph.initializer:
            shapes[constant.name] = tuple(constant.dims)
            self.sizes[constant.name] = onnx.numpy_helper.to_array(constant).nbytes
        self.facts = {name: _Facts(constants=frozenset({name})) for name in self.sizes}
        constants = {i.name: i for i in self.proto.graph.initializer}
        kinds = {name: i.data_type for name, i in constants.items()}
        kinds |= {n: ELEMENT_TYPES[str(w.dtype).removeprefix("torch.")] for n, w in self.weights.items()}
        kinds |= {name: ELEMENT_TYPES[t.dtype] for name, t in self.types.items()}
        typed = self.types.items()
        self.around = tuple(
            Surroundings(
                shapes | {n: tuple(d.at(b) for d in t.shape) for n, t in typed},
                kinds,
                constants,
                self.proto.opset_import,
            )
            for b in _BATCHES
        )

    def _visit(self, node: onnx.NodeProto) -> None:
        read = [self.facts[name] for name in reads(node)]
        if node.op_type == "Shape":
            batch = any(d.per_item for name in node.input for d in self._dimensions(name))
            found = _Facts(reads_batch=batch)
        else:
            found = _Facts(
                tensors=tuple(dict.fromkeys(t for f in read for t in f.tensors)),
                constants=frozenset[str]().union(*(f.constants for f in read)),
                reads_batch=any(f.reads_batch for f in read),
            )
        made = tuple(name for name in node.output if name)
        if found.tensors:
            self._add_op(node, found, made)
        self.facts.update({name: _Facts(tensors=(name,)) if found.tensors else found for name in made})

    def _dimensions(self, name: str) -> tuple[Dimension, ...]:
        return self.types[name].shape if name in self.types else ()

    def _add_op(self, node: onnx.NodeProto, found: _Facts, made: tuple[str, ...]) -> None:
        low, high = (counted_flops(node, around) for around in self.around)
        per_item = (high.flops - low.flops) // (_BATCHES[1] - _BATCHES[0])
        fixed = low.flops - per_item * _BATCHES[0]
        inside = bytes_inside(node, node.name)
        self.sizes.update(inside)
        held = found.constants | inside.keys()
        op = Op(
            name=node.name,
            kind=_kind(node),
            flops=per_item + fixed,
            inputs=found.tensors,
            outputs=made,
            parameter_bytes=sum(self.sizes[name] for name in held),
            flops_per_item=per_item,
            flops_fixed=fixed,
            weights=tuple(sorted(held)),
            groups=next((a.i for a in node.attribute if a.name == "group"), 1),
            flops_are_least=low.is_least or high.is_least,
            is_of_one_place=self._is_of_one_place(node),
        )
        self.ops.append(op)
        if found.reads_batch:
            self.batch_readers.add(node.name)

    def _is_of_one_place(self, node: onnx.NodeProto) -> bool:
        """Whether it is a convolution by a kernel [..., channels, 1, 1]."""
        at = _KERNELS_AT.get(node.op_type)
        shape = () if at is None else self.around[0].shapes.get(node.input[at], ())
        return len(shape) > 2 and all(size == 1 for size in shape[2:])


def _kind(node: onnx.NodeProto) -> str:
    """Its operator; an Einsum that moves, adds up or multiplies only is called by what it does."""
    equation = next((a.s for a in node.attribute if a.name == "equation"), b"")
    return einsum_kind(equation.decode(errors="replace")) if node.op_type == "Einsum" else node.op_type


def onnx_graph(
    proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], types: Mapping[str, TensorType]
) -> ModelGraph:
    """The graph of a flat `proto` whose nodes have names of their own. types: of inputs and all that nodes make.

    Nodes that depend on no input's contents (constants, shapes, arithmetic on them) are no ops: each segment makes its
    own.
    """
    walk = _Derivation(proto, weights, types)
    walk.run()
    inputs, outputs = (tuple(v.name for v in values) for values in (proto.graph.input, proto.graph.output))
    types = {**_constant_types(proto, weights, outputs), **types}
    return ModelGraph(
        ops=tuple(walk.ops),
        tensors=_tensors(inputs, outputs, walk.ops, types),
        inputs=inputs,
        outputs=outputs,
        batch_readers=frozenset(walk.batch_readers),
        weight_bytes={name: walk.sizes[name] for op in walk.ops for name in op.weights},
    )


def _constant_types(
    proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], outputs: Iterable[str]
) -> dict[str, TensorType]:
    """Of the outputs that are constants of the file."""
    arrays = {i.name: onnx.numpy_helper.to_array(i) for i in proto.graph.initializer if i.name in set(outputs)}
    found = {name: (str(a.dtype), a.shape) for name, a in arrays.items()}
    found |= {n: (str(w.dtype).removeprefix("torch."), tuple(w.shape)) for n, w in weights.items() if n in set(outputs)}
    return {name: TensorType(dtype, tuple(Dimension(0, d) for d in shape)) for name, (dtype, shape) in found.items()}


def _tensors(
    inputs: tuple[str, ...], outputs: tuple[str, ...], ops: Iterable[Op], types: Mapping[str, TensorType]
) -> dict[str, TensorInfo]:
    producers: dict[str, str | None] = dict.fromkeys(inputs)
    consumers: dict[str, list[str]] = {}
    for op in ops:
        producers.update(dict.fromkeys(op.outputs, op.name))
        for name in op.inputs:
            consumers.setdefault(name, []).append(op.name)
    for name in outputs:  # what no op makes: a constant, or a value of constants and sizes only
        producers.setdefault(name, None)
    return {
        name: TensorInfo(
            name, types[name].dtype, types[name].shape, producer, tuple(consumers.get(name, ())), name in set(outputs)
        )
        for name, producer in producers.items()
    }
