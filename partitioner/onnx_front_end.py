"""An .onnx file becomes a model that can be cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import torch

from isthmus.errors import InvalidModel
from partitioner.onnx_branches import inline_branches
from partitioner.onnx_dynamic_scales import has_dynamic_scales
from partitioner.onnx_file import read_onnx
from partitioner.onnx_fixed_batch import check_as_written, check_items_apart, unborne_batch
from partitioner.onnx_form import reads
from partitioner.onnx_inputs import OnnxInputs, pin_inputs
from partitioner.onnx_model import OnnxModel
from partitioner.onnx_open_reshapes import open_reshapes
from partitioner.onnx_types import check_sizes, value_types
from partitioner.spec import InputSpec, Interface, OutputSpec

__all__ = ["model_from_onnx"]


def model_from_onnx(path: str | Path, example_inputs: tuple[torch.Tensor, ...] = (), name: str = "") -> OnnxModel:
    """An OnnxModel of a file, read as untrusted data.

    example_inputs: one for each input, or none; they fix sizes that the file leaves open beside the batch, and pin
    inputs without dimensions (silero's sampling rate). Branches that nothing but such things decides are put in place.
    Where the file does not say which dimensions are the batch, the likeliest ones are that it is proven to bear one in.
    Raises InvalidModel naming the file, the op or the input, and the remedy.
    """
    file = Path(path)
    proto, weights = read_onnx(file)
    try:
        return _borne(proto, weights, pin_inputs(proto, example_inputs), name or file.stem)
    except InvalidModel as error:
        raise InvalidModel(f"{file}: {error.field}", error.problem, value=error.value, remedy=error.remedy) from error
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        remedy = "check it with onnx.checker, and its example inputs"
        raise InvalidModel(str(file), f"cannot be run: {_words(error)}", remedy=remedy) from error


def _borne(
    proto: onnx.ModelProto, weights: dict[str, torch.Tensor], readings: Sequence[OnnxInputs], name: str
) -> OnnxModel:
    """By the first of the readings of its inputs that it bears a batch in."""
    refusals = []
    for inputs in readings:
        try:
            return _model(proto, weights, inputs, name)
        except InvalidModel as error:
            refusals.append(error)
    first = refusals[0]
    if all(other.problem == first.problem for other in refusals):
        raise first
    tried = " or ".join(_difference(inputs, readings[0]) for inputs in readings[1:])
    raise InvalidModel(first.field, f"{first.problem}; nor is it {tried}", value=first.value, remedy=first.remedy)


def _difference(inputs: OnnxInputs, likeliest: OnnxInputs) -> str:
    return inputs.shown_batch([name for name in inputs.types if inputs.batch_of(name) != likeliest.batch_of(name)])


def _model(file: onnx.ModelProto, read: dict[str, torch.Tensor], inputs: OnnxInputs, name: str) -> OnnxModel:
    """file, read: the graph and the weights; they stay as they are."""
    try:
        model = _typed(file, dict(read), inputs, name)
        if inputs.opened:
            check_as_written(model, inputs, file, read)
        if inputs.unproven:
            check_items_apart(model, inputs)
        # Its items would be rounded by one another's values, which the file as it is written never does.
        return _one_by_one(model) if inputs.opened and has_dynamic_scales(model) else model
    except InvalidModel:
        raise
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        if inputs.unproven:
            raise unborne_batch(inputs, f"the model fails with another: {_words(error)}") from error
        raise


def _typed(file: onnx.ModelProto, weights: dict[str, torch.Tensor], inputs: OnnxInputs, name: str) -> OnnxModel:
    proto = onnx.ModelProto()
    proto.CopyFrom(file)
    check_sizes(proto, weights, inputs)
    inline_branches(proto, weights, inputs)
    if inputs.opened:
        open_reshapes(proto, weights, inputs)
    _prune(proto, weights)
    types = value_types(proto, weights, inputs)
    return OnnxModel(_bare(proto, inputs), weights, types, _interface(proto, name))


def _one_by_one(model: OnnxModel) -> OnnxModel:
    """The same, of one item a request."""
    return model.with_interface(replace(model.interface, max_batch=1))


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
