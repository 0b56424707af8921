"""Works out, once, what an ONNX graph computes from constants only, so that no slice repeats it.

onnxruntime folds constants too, but only after it has looked for what to fuse. Only small results are made and kept: a
weight's transpose would be a second copy of it, and a few bytes may ask for a tensor that fills the memory. So values
are worked out in rounds, those first of which shape inference knows the size; what they are says more of the others.
Loops and branches stay. Nothing that depends on an input is touched: every tensor stays where it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
# Of operators whose results no inference knows the size of: how many times as large as what they read these are at
# most (of a boolean mask its indices, as int64 and for each dimension).
_GROWS_AT_MOST: Mapping[str, float] = {
    "Compress": 1, "ConcatFromSequence": 1, "NonZero": 64, "SequenceAt": 1, "SequenceConstruct": 1, "SequenceEmpty": 1,
    "SequenceErase": 1, "SequenceInsert": 1, "SequenceLength": 8, "SplitToSequence": 1, "Unique": 32,
}  # fmt: skip

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
    small = _small_values(proto)
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


def _small_values(proto: onnx.ModelProto) -> dict[str, Array]:
    """What constant nodes make of small constants, where it is small itself; sequences and the like left out."""
    waiting, values = _constant_nodes(proto), dict[str, Array]()
    while ready := _ready(proto, waiting, values):
        values |= _evaluated(_of_constants(proto, ready, values))
        done = {id(node) for node in ready}
        waiting = [node for node in waiting if id(node) not in done]
    return {name: value for name, value in values.items() if value.nbytes <= _MOST_BYTES}


def _ready(
    proto: onnx.ModelProto, waiting: Sequence[onnx.NodeProto], values: Mapping[str, Array]
) -> list[onnx.NodeProto]:
    """Those whose results are known to be small, with all that they read among constants, values and one another."""
    graph = _of_constants(proto, waiting, values)
    sizes: dict[str, float] = {i.name: numpy_helper.to_array(i).nbytes for i in graph.graph.initializer}
    inferred = _inferred_sizes(graph)
    ready = []
    for node in waiting:
        read = [name for name in node.input if name]
        if any(a.HasField("g") or a.graphs for a in node.attribute) or not all(name in sizes for name in read):
            continue
        most = _GROWS_AT_MOST.get(node.op_type, math.inf) * sum(sizes[name] for name in read)
        made = {name: inferred.get(name, most) for name in node.output if name}
        if all(size <= _MOST_BYTES for size in made.values()):
            sizes.update(made)
            ready.append(node)
    return ready


def _inferred_sizes(model: onnx.ModelProto) -> dict[str, float]:
    """Bytes of the values whose shape is known before anything runs."""
    found: dict[str, float] = {}
    for info in onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info:
        kind = info.type.tensor_type
        if kind.elem_type and kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)  # of a string the size of a reference
            found[info.name] = dtype.itemsize * math.prod(d.dim_value for d in kind.shape.dim)
    return found


def _of_constants(
    proto: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], values: Mapping[str, Array]
) -> onnx.ModelProto:
    """The graph of these nodes alone, with the values that they read as initializers."""
    wanted = {name for node in nodes for name in reads(node)}
    initializers = [i for i in proto.graph.initializer if i.name in wanted]
    initializers += [numpy_helper.from_array(value, name) for name, value in values.items() if name in wanted]
    # onnxruntime finds the types itself
    outputs = [onnx.ValueInfoProto(name=name) for node in nodes for name in node.output if name]
    graph = helper.make_graph(nodes, "constants", [], outputs, initializers)
    return helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)


def _evaluated(model: onnx.ModelProto) -> dict[str, Array]:
    """The value of everything that it makes, sequences and the like left out."""
    names = [output.name for output in model.graph.output]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = cpu_session(model, options)
    made = dict(zip(names, session.run(names, {}), strict=True))
    return {name: value for name, value in made.items() if isinstance(value, np.ndarray)}
