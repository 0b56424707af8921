"""dtype and shape of every value of an ONNX graph, found by running it at several batch sizes.

Shape inference leaves values open where shapes are computed; a run does not. Sizes that no fixed multiple of the batch
explains are refused: nobody could tell what such a tensor weighs on the wire.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx
import torch

from isthmus.errors import InvalidModel
from partitioner.graph import Dimension
from partitioner.onnx_branches import typed_input
from partitioner.onnx_data_sizes import check_data_sizes
from partitioner.onnx_form import ELEMENT_TYPES
from partitioner.onnx_inputs import OnnxInputs
from partitioner.onnx_trial import run_once
from partitioner.onnx_windows import with_windows_at_front
from partitioner.program import TensorType

__all__ = ["check_sizes", "value_types"]

_LOW, _HIGH, _PROOF = 2, 3, 5
_MOST_ITEM_BYTES = 4 << 30

Shape = tuple[str, tuple[int, ...]]
Shapes = Mapping[str, Shape]


def value_types(
    proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs
) -> dict[str, TensorType]:
    """By name, for inputs and all that nodes make. Raises InvalidModel naming the value that has no such type."""
    check_data_sizes(proto, weights)
    check_sizes(proto, weights, inputs)
    low, high, proof = (_run(proto, weights, inputs, batch) for batch in (_LOW, _HIGH, _PROOF))
    batch = inputs.shown_batch()
    return dict(inputs.types) | {name: _type(name, (low[name], high[name], proof[name]), batch) for name in low}


def _type(name: str, runs: tuple[Shape, Shape, Shape], batch: str) -> TensorType:
    """runs: the dtype and shape of the value for few, more and most items. batch: which dimensions these are."""
    low, high, proof = runs
    dtype, small = low
    shape = []
    for a, b in zip(small, high[1], strict=False):
        per_item = (b - a) // (_HIGH - _LOW)
        shape.append(Dimension(per_item, a - per_item * _LOW))
    if len(small) != len(high[1]) or proof != (dtype, tuple(d.at(_PROOF) for d in shape)):
        problem = f"has the shape {small} for {_LOW} items and {high[1]} for {_HIGH}, not a fixed multiple of the batch"
        remedy = f"keep every dimension but the batch ({batch}) fixed, and sizes independent of the data"
        raise InvalidModel(f"value {name!r}", problem, remedy=remedy)
    return TensorType(dtype, tuple(shape))


def check_sizes(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs) -> None:
    """Refuse what is known to be too large before anything that large is allocated: raises InvalidModel naming it."""
    sized = onnx.ModelProto()
    sized.CopyFrom(proto)
    del sized.graph.input[:]
    known = {**inputs.samples(_LOW), **weights}
    sized.graph.input.extend(typed_input(name, tensor) for name, tensor in known.items())
    del sized.graph.value_info[:]
    for info in onnx.shape_inference.infer_shapes(sized, data_prop=True).graph.value_info:
        sizes = [d.dim_value for d in info.type.tensor_type.shape.dim]
        if math.prod(sizes) * 4 > _LOW * _MOST_ITEM_BYTES:
            raise InvalidModel(f"value {info.name!r}", "is too large", value=sizes, remedy="use a smaller model")


def _run(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs, batch: int) -> Shapes:
    names, samples = [name for node in proto.graph.node for name in node.output if name], inputs.samples(batch)
    found: dict[str, Shape] = {}
    placed = with_windows_at_front(proto, weights, samples)
    for name, value in run_once(placed, {**samples, **weights}, names).items():
        if str(getattr(value, "dtype", None)) not in ELEMENT_TYPES:
            raise InvalidModel(f"value {name!r}", "is no tensor of numbers", remedy="use tensors only")
        found[name] = (str(value.dtype), tuple(value.shape))
    return found
