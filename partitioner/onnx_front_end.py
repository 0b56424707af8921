"""An .onnx file becomes a model that can be cut."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch

from isthmus.errors import InvalidModel
from partitioner.onnx_branches import inline_branches
from partitioner.onnx_file import read_onnx
from partitioner.onnx_fixed_batch import check_items_apart, fixed_batch, open_reshapes
from partitioner.onnx_form import reads
from partitioner.onnx_inputs import OnnxInputs, pin_inputs
from partitioner.onnx_model import OnnxModel
from partitioner.onnx_types import value_types
from partitioner.spec import InputSpec, Interface, OutputSpec

__all__ = ["model_from_onnx"]


def model_from_onnx(path: str | Path, example_inputs: tuple[torch.Tensor, ...] = (), name: str = "") -> OnnxModel:
    """An OnnxModel of a file, read as untrusted data.

    example_inputs: one for each input, or none; they fix sizes that the file leaves open beside the batch, and pin
    inputs without dimensions (silero's sampling rate). Branches that nothing but such things decides are put in place.
    Raises InvalidModel naming the file, the op or the input, and the remedy.
    """
    file = Path(path)
    proto, weights = read_onnx(file)
    try:
        inputs = pin_inputs(proto, example_inputs)
        return _model(proto, weights, inputs, name or file.stem)
    except InvalidModel as error:
        raise InvalidModel(f"{file}: {error.field}", error.problem, value=error.value, remedy=error.remedy) from error
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        remedy = "check it with onnx.checker, and its example inputs"
        raise InvalidModel(str(file), f"cannot be run: {_words(error)}", remedy=remedy) from error


def _model(proto: onnx.ModelProto, weights: dict[str, torch.Tensor], inputs: OnnxInputs, name: str) -> OnnxModel:
    try:
        inline_branches(proto, weights, inputs)
        if inputs.opened:
            open_reshapes(proto)
        _prune(proto, weights)
        types = value_types(proto, weights, inputs)
    except InvalidModel:
        raise
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        if inputs.opened:
            raise fixed_batch(inputs, f"fails with another: {_words(error)}") from error
        raise
    model = OnnxModel(_bare(proto, inputs), weights, types, _interface(proto, name))
    if inputs.opened:
        check_items_apart(model, inputs)
    return model


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _prune(proto: onnx.ModelProto, weights: dict[str, torch.Tensor]) -> None:
    """Take out what no output needs."""
    wanted, kept = {v.name for v in proto.graph.output}, []
    for node in reversed(proto.graph.node):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(reads(node))
    small = [i for i in proto.graph.initializer if i.name in wanted]
    del proto.graph.node[:], proto.graph.initializer[:]
    proto.graph.node.extend(reversed(kept))
    proto.graph.initializer.extend(small)
    for name in weights.keys() - wanted:
        del weights[name]


def _bare(proto: onnx.ModelProto, inputs: OnnxInputs) -> onnx.ModelProto:
    """Only what is computed with: no documentation, no producer, no paths of the machine that exported it."""
    bare = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    bare.graph.name = "model"
    bare.graph.node.extend(proto.graph.node)
    bare.graph.initializer.extend(proto.graph.initializer)
    bare.graph.input.extend(onnx.ValueInfoProto(name=name) for name in inputs.types)
    bare.graph.output.extend(onnx.ValueInfoProto(name=v.name) for v in proto.graph.output)
    for node in bare.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    return bare


def _interface(proto: onnx.ModelProto, name: str) -> Interface:
    return Interface(
        name=name,
        inputs=tuple(InputSpec(v.name) for v in proto.graph.input),
        outputs=tuple(OutputSpec(v.name) for v in proto.graph.output),
    )
