"""Floating point operations of an ONNX node, from the shapes of what it reads and makes. A multiply-add counts two.

A bias counts one an element: exporters fold norms into it, which count as ops of their own in a torch model. Torch's
counter leaves biases out, so that a layer with one has a percent or two more here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import onnx
from onnx import helper

__all__ = ["node_flops"]

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]

# What an operator does per element that it touches, where no formula counts multiplications: such operators are bound
# by memory, so the number only has to rank them near the truth. Moving data counts nothing.
_PER_ELEMENT: Mapping[str, int] = {
    "Softmax": 5, "LogSoftmax": 5, "LayerNormalization": 5, "InstanceNormalization": 5, "GroupNormalization": 5,
    "BatchNormalization": 2, "Gelu": 8, "Erf": 8, "Tanh": 6, "Sigmoid": 4, "Exp": 4, "Log": 4, "HardSwish": 4,
    "HardSigmoid": 3, "Pow": 4, "Sqrt": 4, "Mish": 8, "Softplus": 5,
}  # fmt: skip
_MOVES_DATA = frozenset(
    {
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "DepthToSpace",
        "Dropout",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Identity",
        "Pad",
        "Reshape",
        "Shape",
        "Size",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
_GATE_FLOPS = 8
"""Of one gate of a recurrent layer: bias, nonlinearity, its part of the new state."""


def node_flops(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    """shapes: of everything that it reads and makes, for one batch size."""
    read = [shapes.get(name, ()) for name in node.input]
    made = [shapes.get(name, ()) for name in node.output]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    formula = _FORMULAS.get(node.op_type)
    if formula is not None:
        return formula(read, made, attributes)
    if node.op_type in _MOVES_DATA:
        return 0
    touched = max((prod(shape) for shape in (*read, *made)), default=0)
    return touched * _PER_ELEMENT.get(node.op_type, 1)


def _convolution(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    """A bias comes third."""
    return _convolved(read[1], made[0], has_bias=len(read) > 2)


def _quantised_convolution(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    """Each of what it reads comes with a scale and a zero point, what it makes too; a bias comes ninth."""
    return _convolved(read[3], made[0], has_bias=len(read) > 8)


def _integer_convolution(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    """Zero points come after the kernel, a bias does not."""
    return _convolved(read[1], made[0], has_bias=False)


def _convolved(kernel: Shape, made: Shape, *, has_bias: bool) -> int:
    """The kernel, [out channels, in channels a group, *window], once for each place of the output; a bias adds one."""
    return prod(made) * (2 * prod(kernel[1:]) + has_bias)


def _transposed_convolution(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    """The kernel, [in channels, out channels a group, *window], once for each place of the input."""
    return 2 * prod(read[0]) * prod(read[1][1:])


def _matrix_product(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    return 2 * prod(made[0]) * read[0][-1]


def _einstein_sum(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    """A multiply-add for each combination of its indices; a single operand is only summed up."""
    terms = attributes["equation"].decode().replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, read, strict=True):
        for index, size in zip(_indices(term, len(shape)), shape, strict=True):
            sizes[index] = max(size, sizes.get(index, 1))
    return prod(sizes.values()) * min(len(terms), 2)


def _indices(term: str, rank: int) -> list[str]:
    """Of one operand, what "..." stands for counted from the right, as it is broadcast."""
    before, dots, after = term.partition("...")
    hidden = rank - len(before) - len(after) if dots else 0
    return [*before, *(f"...{at}" for at in reversed(range(hidden))), *after]


def _gemm(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    inner = read[0][0] if attributes.get("transA") else read[0][-1]
    return 2 * prod(made[0]) * inner + (prod(made[0]) if len(read) > 2 else 0)


def _attention(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    """Queries by keys, then weights by values; [batch, heads, length, width] or [batch, length, heads x width]."""
    queries, keys, values = read[:3]
    heads = queries[1] if len(queries) == 4 else 1
    return 2 * queries[0] * heads * queries[-2] * keys[-2] * (queries[-1] + values[-1])


def _recurrent(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    """X [length, batch, in], W [directions, gates x hidden, in], R [directions, gates x hidden, hidden]."""
    length, batch, width = read[0]
    directions, rows, hidden = read[2]
    return length * batch * directions * rows * (2 * (width + hidden) + _GATE_FLOPS)


def _pooling(read: Sequence[Shape], made: Sequence[Shape], attributes: Attributes) -> int:
    return prod(made[0]) * prod(attributes["kernel_shape"])


_FORMULAS: Mapping[str, Callable[[Sequence[Shape], Sequence[Shape], Attributes], int]] = {
    "Conv": _convolution,
    "QLinearConv": _quantised_convolution,
    "ConvInteger": _integer_convolution,
    "ConvTranspose": _transposed_convolution,
    "MatMul": _matrix_product,
    "QLinearMatMul": _matrix_product,
    "MatMulInteger": _matrix_product,
    "Einsum": _einstein_sum,
    "Gemm": _gemm,
    "Attention": _attention,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "AveragePool": _pooling,
    "MaxPool": _pooling,
}
