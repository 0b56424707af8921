"""A TorchModel as ONNX, exported once and whole, with every tensor that a cut could need still there.

torch's exporter keeps no names of inner values, so each tensor is made an output of the exported graph: outputs come
back by position, and cannot vanish. Its optimiser is off: it makes ops read past others (a convolution what went into
the pad), which no cut between them survives. Only constants are folded: what is left of them blocks onnxruntime's own
fusions (efficientnet-lite0, 1 thread: 22 ms, without it 5.8 ms, on eager 19 ms).
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import onnx
import torch
from onnx import helper, inliner
from torch.export import Dim

from isthmus.errors import InvalidModel
from partitioner.lowering import lower
from partitioner.onnx_constants import fold_constants
from partitioner.onnx_form import OnnxForm

if TYPE_CHECKING:
    from partitioner.torch_model import TorchModel

__all__ = ["exported_form"]

_SMALL_ELEMENTS = 64
"""Constants up to this size stay in the graph, where shapes are told from them."""

_MISSING = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)', overload='(\w+)'\)>")
_REMEDY = "use engine: eager for this model"
_EXAMPLE_BATCH = 2


def exported_form(model: TorchModel) -> OnnxForm:
    """`model` as ONNX; `values` names every tensor of its graph. Seconds for a large model.

    Raises InvalidModel naming the operator that has no ONNX form.
    """
    graph = model.graph
    made = tuple(dict.fromkeys((*(name for op in graph.ops for name in op.outputs), *graph.outputs)))
    inner = tuple(name for name in made if name not in graph.inputs)
    module = lower(model.program, model.weights, graph.inputs, inner)
    examples = tuple(_example(model, name) for name in graph.inputs)
    with _quiet():
        try:
            shapes = tuple({0: Dim.DYNAMIC} for _ in examples)
            exported = torch.export.export(module, examples, dynamic_shapes=shapes, strict=False)
            program = torch.onnx.export(exported, dynamo=True, optimize=False, verbose=False)
        except Exception as error:  # whatever the exporter raises inside
            raise _translated(error) from error
    assert program is not None
    proto = _flat(program.model_proto)
    values = dict(zip(graph.inputs, (v.name for v in proto.graph.input), strict=True))
    values.update(zip(inner, (v.name for v in proto.graph.output), strict=True))
    weights = {name: _shared(model, name, weight) for name, weight in taken_weights(proto).items()}
    fold_constants(proto, weights)
    return OnnxForm(proto, weights, graph, values)


def _shared(model: TorchModel, name: str, weight: torch.Tensor) -> torch.Tensor:
    """The model's own tensor where it is the same: one copy in memory."""
    own = model.weights.get(name)
    return own if own is not None and own.is_contiguous() and torch.equal(own, weight) else weight


def taken_weights(proto: onnx.ModelProto) -> dict[str, torch.Tensor]:
    """The large initializers, taken out of `proto`."""
    large = {i.name: i for i in proto.graph.initializer if torch.Size(i.dims).numel() > _SMALL_ELEMENTS}
    weights = {name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for name, i in large.items()}
    small = [i for i in proto.graph.initializer if i.name not in large]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(small)
    return weights


def _flat(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Without functions, each node with a name of its own, every cast to a type that is written down."""
    flat = inliner.inline_local_functions(proto) if proto.functions else proto
    typed = (*flat.graph.value_info, *flat.graph.input, *flat.graph.output)
    kinds = {v.name: v.type.tensor_type.elem_type for v in typed}
    kinds.update((i.name, i.data_type) for i in flat.graph.initializer)
    for at, node in enumerate(flat.graph.node):
        node.name = f"{node.op_type}_{at}"
        if node.op_type == "CastLike" and kinds.get(node.input[1]):
            # Else a constant that is cast to its neighbour's type would depend on the neighbour.
            cast = helper.make_node("Cast", [node.input[0]], list(node.output), node.name, to=kinds[node.input[1]])
            node.CopyFrom(cast)
    del flat.graph.value_info[:]
    return flat


def _example(model: TorchModel, name: str) -> torch.Tensor:
    info = model.graph.tensors[name]
    return torch.zeros(info.shape_at(_EXAMPLE_BATCH), dtype=getattr(torch, info.dtype))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of packages that are not installed and models that are not here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _translated(error: BaseException) -> InvalidModel:
    chain: Any = error
    while chain is not None:
        missing = _MISSING.search(str(chain))
        if missing:
            return InvalidModel(f"op {missing[1]!r}", "has no ONNX form", remedy=_REMEDY)
        chain = chain.__cause__ or chain.__context__
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return InvalidModel("model", f"cannot be exported to ONNX: {first[:300]}", remedy=_REMEDY)
