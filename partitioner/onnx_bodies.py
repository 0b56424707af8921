"""Floating point operations of ONNX nodes that hold graphs: an If counts its larger branch, a Loop or Scan its body as
often as it goes round.

Sizes inside are inferred from those outside. Where data decides how often a Loop goes round it counts once, and what
has no inferred size counts nothing: then the number is the least.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import onnx
from onnx import TensorProto, helper, numpy_helper

from partitioner.onnx_flops import node_flops
from partitioner.onnx_form import captured_names, subgraphs

__all__ = ["Counted", "Surroundings", "bytes_inside", "counted_flops"]

Shape = tuple[int, ...]

_MOST_ELEMENTS = 1024
"""Of a constant whose contents may say a size."""


@dataclass(frozen=True, slots=True)
class Counted:
    """is_least: whether it may compute more than that."""

    flops: int = 0
    is_least: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node sees. shapes, kinds: of values, where known, for one batch size; kinds are ONNX's numbers of dtypes.
    constants: small ones, by name. opsets: the operators' versions."""

    shapes: Mapping[str, Shape]
    kinds: Mapping[str, int]
    constants: Mapping[str, TensorProto]
    opsets: Sequence[onnx.OperatorSetIdProto] = field(repr=False)

    def typed(self, name: str, shape: Shape | None) -> onnx.ValueInfoProto:
        """A value of that kind and of another shape; None for one that nobody knows."""
        return helper.make_tensor_value_info(name, self.kinds.get(name, TensorProto.UNDEFINED), shape)


def bytes_inside(node: onnx.NodeProto, path: str) -> dict[str, int]:
    """What the constants weigh that a node holds in its bodies, each by a name below `path`."""
    found: dict[str, int] = {}
    for at, body in enumerate(subgraphs(node)):
        for constant in body.initializer:
            found[f"{path}/{at}/{constant.name}"] = numpy_helper.to_array(constant).nbytes
        for number, inner in enumerate(body.node):
            name = f"{path}/{at}/{number}"
            for constant in _value(inner):
                found[name] = numpy_helper.to_array(constant).nbytes
            found |= bytes_inside(inner, name)
    return found


def _value(node: onnx.NodeProto) -> list[TensorProto]:
    """Of a Constant that holds a tensor."""
    return [a.t for a in node.attribute if node.op_type == "Constant" and a.name == "value"]


def counted_flops(node: onnx.NodeProto, around: Surroundings) -> Counted:
    """Of one node, with all that it holds."""
    bodies = list(subgraphs(node))
    if not bodies:
        return Counted(node_flops(node, around.shapes))
    if node.op_type == "If":
        branches = [_sum(body.node, _inside(body, around, ())) for body in bodies]
        return Counted(max(b.flops for b in branches), any(b.is_least for b in branches))
    (body,) = bodies
    is_loop = node.op_type == "Loop"
    inside = _inside(body, around, _loop_inputs(node, body, around) if is_loop else _scan_inputs(node, body, around))
    once, rounds = _sum(body.node, inside), _loop_rounds(node, body, around) if is_loop else _scan_rounds(node, around)
    states = zip(body.input[2:], body.output[1:], strict=False) if is_loop else ()  # then comes what it collects
    grows = any(inside.shapes.get(a.name) != inside.shapes.get(b.name) for a, b in states)
    return Counted(once.flops * (1 if rounds is None else rounds), once.is_least or rounds is None or grows)


def _sum(nodes: Iterable[onnx.NodeProto], around: Surroundings) -> Counted:
    counts = [_inner(node, around) for node in nodes]
    return Counted(sum(c.flops for c in counts), any(c.is_least for c in counts))


def _inner(node: onnx.NodeProto, around: Surroundings) -> Counted:
    is_known = all(name in around.shapes for name in (*node.input, *node.output) if name)
    return counted_flops(node, around) if is_known or any(subgraphs(node)) else Counted(is_least=True)


def _inside(body: onnx.GraphProto, around: Surroundings, taken: Iterable[onnx.ValueInfoProto]) -> Surroundings:
    """What nodes of a body see. taken: its inputs."""
    captured = dict.fromkeys(captured_names(body))
    own = {i.name: i for i in body.initializer}
    constants = {n: around.constants[n] for n in captured if n in around.constants}
    constants |= {n: i for n, i in own.items() if prod(i.dims) <= _MOST_ELEMENTS}
    graph = onnx.GraphProto(name="body", node=body.node, output=body.output, initializer=constants.values())
    graph.input.extend(taken)
    graph.input.extend(around.typed(n, around.shapes.get(n)) for n in captured if n not in constants)
    graph.input.extend(
        helper.make_tensor_value_info(n, i.data_type, list(i.dims)) for n, i in own.items() if n not in constants
    )
    model = helper.make_model(graph, opset_imports=around.opsets)
    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = [*known.input, *known.value_info, *known.output]
    shapes = {v.name: s for v in values if (s := _shape(v)) is not None}
    kinds = {v.name: v.type.tensor_type.elem_type for v in values}
    shapes |= {n: tuple(i.dims) for n, i in constants.items()}
    kinds |= {n: i.data_type for n, i in constants.items()}
    return Surroundings(shapes, kinds, constants, around.opsets)


def _shape(info: onnx.ValueInfoProto) -> Shape | None:
    kind = info.type.tensor_type
    is_known = kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim)
    return tuple(d.dim_value for d in kind.shape.dim) if is_known else None


def _renamed(name: str, info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    return onnx.ValueInfoProto(name=name, type=info.type)


def _loop_inputs(node: onnx.NodeProto, body: onnx.GraphProto, around: Surroundings) -> Iterator[onnx.ValueInfoProto]:
    """In the first round: its number, the condition, what is handed on."""
    step, going, *states = (v.name for v in body.input)
    yield helper.make_tensor_value_info(step, TensorProto.INT64, [])
    yield helper.make_tensor_value_info(going, TensorProto.BOOL, [])
    for name, outer in zip(states, node.input[2:], strict=False):
        yield _renamed(name, around.typed(outer, around.shapes.get(outer)))


def _scan_inputs(node: onnx.NodeProto, body: onnx.GraphProto, around: Surroundings) -> Iterator[onnx.ValueInfoProto]:
    """What is handed on, then one place of each input that is gone through."""
    axes = _scan_axes(node)
    for at, (inner, outer) in enumerate(zip(body.input, node.input, strict=False)):
        shape, gone = around.shapes.get(outer), at - len(node.input) + len(axes)
        if shape and gone >= 0:
            left = axes[gone] % len(shape)
            shape = (*shape[:left], *shape[left + 1 :])
        yield _renamed(inner.name, around.typed(outer, shape))


def _scan_axes(node: onnx.NodeProto) -> list[int]:
    """Along which each of its last inputs is gone through."""
    found = {a.name: a for a in node.attribute}
    return list(found["scan_input_axes"].ints) if "scan_input_axes" in found else [0] * found["num_scan_inputs"].i


def _scan_rounds(node: onnx.NodeProto, around: Surroundings) -> int | None:
    axes = _scan_axes(node)
    shape = around.shapes.get(node.input[len(node.input) - len(axes)])
    return shape[axes[0]] if shape else None


def _loop_rounds(node: onnx.NodeProto, body: onnx.GraphProto, around: Surroundings) -> int | None:
    """How often it goes round, where constants alone say so."""
    limit, going = node.input[:2]
    if limit not in around.constants or (going and not _is_true(around.constants.get(going))):
        return None
    made = {name: inner for inner in body.node for name in inner.output}
    goes_on = body.output[0].name
    while goes_on in made and made[goes_on].op_type == "Identity":
        goes_on = made[goes_on].input[0]
    values = {i.name: i for i in body.initializer} | dict(around.constants)
    values |= {inner.output[0]: constant for inner in body.node for constant in _value(inner)}
    if goes_on != body.input[1].name and not _is_true(values.get(goes_on)):
        return None
    return max(0, int(numpy_helper.to_array(around.constants[limit]).reshape(-1)[0]))


def _is_true(constant: TensorProto | None) -> bool:
    return constant is not None and bool(numpy_helper.to_array(constant).all())
