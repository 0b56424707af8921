"""dtype and shape of every value of an ONNX graph, found by running it at several batch sizes.

Shape inference leaves values open where shapes are computed; a run does not. Sizes that no fixed multiple of the batch
explains are refused: nobody could tell what such a tensor weighs on the wire.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx
import onnxruntime
import torch

from isthmus.errors import InvalidModel
from partitioner.graph import Dimension
from partitioner.onnx_branches import free_values, typed_input
from partitioner.onnx_inputs import OnnxInputs
from partitioner.program import TensorType

__all__ = ["value_types"]

_LOW, _HIGH, _PROOF = 2, 3, 5
_DATA_SIZED = frozenset({"NonZero", "Unique", "Compress", "NonMaxSuppression"})
_MOST_ITEM_BYTES = 4 << 30

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]


def value_types(
    proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs
) -> dict[str, TensorType]:
    """By name, for inputs and all that nodes make. Raises InvalidModel naming the value that has no such type."""
    _check_operators(proto, weights)
    _check_sizes(proto, weights, inputs)
    low, high, proof = (_run(proto, weights, inputs, batch) for batch in (_LOW, _HIGH, _PROOF))
    return dict(inputs.types) | {name: _type(name, low[name], high[name], proof[name]) for name in low}


def _type(name: str, low: tuple[str, tuple[int, ...]], high: tuple[str, tuple[int, ...]], proof: object) -> TensorType:
    dtype, small = low
    shape = []
    for a, b in zip(small, high[1], strict=False):
        per_item = (b - a) // (_HIGH - _LOW)
        shape.append(Dimension(per_item, a - per_item * _LOW))
    if len(small) != len(high[1]) or proof != (dtype, tuple(d.at(_PROOF) for d in shape)):
        problem = f"has the shape {small} for {_LOW} items and {high[1]} for {_HIGH}, not a fixed multiple of the batch"
        remedy = "keep every dimension but the batch fixed, and sizes independent of the data"
        raise InvalidModel(f"value {name!r}", problem, remedy=remedy)
    return TensorType(dtype, tuple(shape))


def _check_operators(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse by name what makes sizes out of data: a few runs may not show it."""
    free = free_values(proto, weights)
    for node in proto.graph.node:
        if node.op_type in _DATA_SIZED and node.output[0] not in free:
            remedy = "use a form with a fixed size, such as Where"
            raise InvalidModel(
                f"op {node.name!r} ({node.op_type})", "makes sizes that depend on the data", remedy=remedy
            )


def _check_sizes(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs) -> None:
    """Refuse what is known to be too large before anything that large is allocated."""
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
    names = [name for node in proto.graph.node for name in node.output if name]
    fed = {**inputs.samples(batch), **weights}
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    del model.graph.input[:], model.graph.output[:], model.graph.value_info[:]
    model.graph.input.extend(typed_input(name, tensor) for name, tensor in fed.items())
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, value in zip(names, session.run(names, {n: t.numpy() for n, t in fed.items()}), strict=True):
        if not hasattr(value, "dtype") or value.dtype.kind not in "fiub":
            raise InvalidModel(f"value {name!r}", "is no tensor of numbers", remedy="use tensors only")
        found[name] = (str(value.dtype), tuple(value.shape))
    return found
