"""Works out, once, what an ONNX graph computes from constants only, so that no slice repeats it.

onnxruntime folds constants too, but only after it has looked for what to fuse. Only small results are kept: a weight's
transpose would be a second copy of it. Nothing that depends on an input is touched: every tensor stays where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from partitioner.onnx_form import reads

__all__ = ["RANDOM_OPERATORS", "cpu_session", "fold_constants"]

RANDOM_OPERATORS = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
_MOST_BYTES = 1 << 16

Array = npt.NDArray[np.generic]


def cpu_session(model: onnx.ModelProto, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """A session in which a graph is tried, once: onnxruntime would try it again on the same provider, and print of it.
    Raises whatever onnxruntime does."""
    cpu = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=cpu, enable_fallback=0)


def fold_constants(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor]) -> None:
    """Replace, in place, nodes that only small constants go into by initializers. weights: held outside of `proto`.

    onnxruntime's own errors pass through.
    """
    _fold_weight_shapes(proto, weights)
    constant = _constant_nodes(proto)
    values = _evaluated(proto, constant)
    small = {name: value for name, value in values.items() if value.nbytes <= _MOST_BYTES}
    kept = [n for n in proto.graph.node if not all(name in small for name in n.output if name)]
    needed = {name for node in kept for name in reads(node)} | {v.name for v in proto.graph.output}
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    made = {name for node in kept for name in node.output}
    proto.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in small.items() if name in needed and name not in made
    )


def _fold_weight_shapes(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor]) -> None:
    for node in proto.graph.node:
        if node.op_type == "Shape" and node.input[0] in weights:
            bounds = {a.name: a.i for a in node.attribute}
            shape = list(weights[node.input[0]].shape)[bounds.get("start", 0) : bounds.get("end")]
            value = helper.make_tensor("shape", TensorProto.INT64, [len(shape)], shape)
            node.CopyFrom(helper.make_node("Constant", [], list(node.output), name=node.name, value=value))


def _constant_nodes(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    known = {i.name for i in proto.graph.initializer}
    found = []
    for node in proto.graph.node:
        if node.op_type not in RANDOM_OPERATORS and all(name in known for name in reads(node)):
            found.append(node)
            known.update(node.output)
    return found


def _evaluated(proto: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> dict[str, Array]:
    """The value of everything that these nodes make, sequences and the like left out."""
    chosen = list(nodes)
    names = [name for node in chosen for name in node.output if name]
    if not names:
        return {}
    outputs = [onnx.ValueInfoProto(name=name) for name in names]  # onnxruntime finds the types itself
    wanted = {name for node in chosen for name in reads(node)}
    initializers = [i for i in proto.graph.initializer if i.name in wanted]
    graph = helper.make_graph(chosen, "constants", [], outputs, initializers)
    model = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = cpu_session(model, options)
    made = dict(zip(names, session.run(names, {}), strict=True))
    return {name: value for name, value in made.items() if isinstance(value, np.ndarray)}
