"""Runs an ONNX graph once, as it is written, to see what it makes: nothing fused, nothing kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnxruntime
import torch

from partitioner.onnx_branches import typed_input
from partitioner.onnx_constants import cpu_session
from partitioner.onnx_form import reads

__all__ = ["run_once"]


def run_once(proto: onnx.ModelProto, fed: Mapping[str, torch.Tensor], names: Sequence[str]) -> dict[str, Any]:
    """The values of `names`, which nodes make: arrays, or lists of them where they are sequences.

    fed: the inputs, and the weights that are held outside of `proto`. onnxruntime's own errors pass through.
    """
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    del model.graph.input[:], model.graph.output[:], model.graph.value_info[:]
    model.graph.input.extend(typed_input(name, tensor) for name, tensor in fed.items())
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    read = {name for node in proto.graph.node for name in reads(node)}
    del model.graph.initializer[:]  # in files of old versions onnxruntime bears none that nothing reads
    model.graph.initializer.extend(i for i in proto.graph.initializer if i.name in read)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = cpu_session(model, options)
    made = session.run(list(names), {name: tensor.numpy() for name, tensor in fed.items()})
    return dict(zip(names, made, strict=True))
