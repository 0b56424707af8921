"""ONNX operators whose results have sizes that the data decides: a few runs may not show it, so they are told by name.

What a branch or a loop holds inside is not looked into.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import onnx
import torch

from isthmus.errors import InvalidModel
from partitioner.onnx_windows import GraphValues, is_window

__all__ = ["check_data_sizes"]

_ALWAYS = frozenset({"NonZero", "Unique", "Compress", "NonMaxSuppression"})
# The inputs that say how large the result is.
_SIZES: Mapping[str, tuple[int, ...]] = {
    "AffineGrid": (1,), "BlackmanWindow": (0,), "CenterCropPad": (1,), "Col2Im": (1, 2), "ConstantOfShape": (0,),
    "DFT": (1,), "Expand": (1,), "HammingWindow": (0,), "HannWindow": (0,), "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1), "OneHot": (1,), "Pad": (1, 3), "Range": (0, 1, 2), "Reshape": (1,), "Resize": (2, 3),
    "STFT": (1, 3), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "Tile": (1,), "TopK": (1,),
    "Unsqueeze": (1,), "Upsample": (1,),
    "ReduceL1": (1,), "ReduceL2": (1,), "ReduceLogSum": (1,), "ReduceLogSumExp": (1,), "ReduceMax": (1,),
    "ReduceMean": (1,), "ReduceMin": (1,), "ReduceProd": (1,), "ReduceSum": (1,), "ReduceSumSquare": (1,),
}  # fmt: skip
_LOOP_SIZES = (0, 1)
"""How often a Loop goes round, and whether at all: as long is what it collects."""


def check_data_sizes(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise InvalidModel naming the first operator that makes a size out of what an input holds."""
    values = GraphValues.of(proto, weights)
    for node in proto.graph.node:
        if node.op_type in _ALWAYS and node.output[0] not in values.free:
            raise _refusal(node, "makes sizes that depend on the data", "use a form with a fixed size, such as Where")
        for size in _sizes(node, values):
            if size not in values.free:
                problem = f"makes a size that depends on the data, by {size!r}"
                raise _refusal(node, problem, "fix that size, or pin the input that decides it")


def _sizes(node: onnx.NodeProto, values: GraphValues) -> Iterator[str]:
    places: Collection[int] = _SIZES.get(node.op_type, ())
    if node.op_type == "Loop" and len(node.output) > len(node.input) - len(_LOOP_SIZES):  # it collects something
        places = _LOOP_SIZES
    elif node.op_type == "Resize" and _resizes_a_part(node):
        places = (1, *places)
    elif is_window(node, values):
        places = (3, 4)
    return (name for at, name in enumerate(node.input) if at in places and name)


def _resizes_a_part(node: onnx.NodeProto) -> bool:
    """Whether the part of its input that a Resize takes, the second of what it reads, scales its result."""
    has_sizes = len(node.input) > 3 and bool(node.input[3])
    return not has_sizes and any(a.s == b"tf_crop_and_resize" for a in node.attribute)


def _refusal(node: onnx.NodeProto, problem: str, remedy: str) -> InvalidModel:
    return InvalidModel(f"op {node.name!r} ({node.op_type})", problem, remedy=remedy)
