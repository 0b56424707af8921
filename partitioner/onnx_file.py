"""Reads an .onnx file as what it is worth: untrusted data. Structure and weights come back apart.

Refused: operators from outside the standard, external data that is not a plain file beneath the model's own folder,
dtypes that torch and onnxruntime do not share, random operators, and anything over the limits.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import TensorProto, inliner, numpy_helper

from isthmus.errors import InvalidModel
from partitioner.onnx_constants import RANDOM_OPERATORS
from partitioner.onnx_form import ELEMENT_TYPES, reads
from partitioner.onnx_functions import check_functions
from partitioner.onnx_nesting import nested_nodes
from partitioner.pseudo_names import RESERVED

__all__ = ["check_structure", "read_onnx", "take_weights"]

_MOST_FILE_BYTES = 2 << 30
_MOST_NODES = 100_000
_MOST_ELEMENTS = 1 << 34
_SMALL_ELEMENTS = 64
"""Constants up to this size stay in the graph, where shapes are told from them."""
_STANDARD = frozenset({"", "ai.onnx"})
_ELEMENTS = frozenset(ELEMENT_TYPES.values()) - {TensorProto.BFLOAT16}
_REMEDY = "export the model again with torch.onnx.export"


def read_onnx(path: Path) -> tuple[onnx.ModelProto, dict[str, torch.Tensor]]:
    """A flat, checked graph and its large constants by name. Raises InvalidModel naming the file and its fault."""
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            raise InvalidModel(str(path), "is over 2 GB", remedy="keep its weights as external data")
        proto = onnx.ModelProto.FromString(path.read_bytes())
        _load_external(proto, path.parent)
        if proto.functions:
            check_functions(proto, most_nodes=_MOST_NODES, most_bytes=_MOST_FILE_BYTES)
            proto = inliner.inline_local_functions(proto)
        check_structure(proto)
        return proto, take_weights(proto)
    except InvalidModel as error:
        raise InvalidModel(f"{path}: {error.field}", error.problem, value=error.value, remedy=error.remedy) from error
    except OSError as error:
        raise InvalidModel(str(path), f"cannot be read: {error.strerror}", remedy="check the path") from error
    except (DecodeError, ValueError, TypeError, RuntimeError, onnx.checker.ValidationError) as error:
        problem = f"is not an ONNX model: {' '.join(str(error).split())[:200]}"
        raise InvalidModel(str(path), problem, remedy=_REMEDY) from error


def check_structure(proto: onnx.ModelProto, weights: Collection[str] = ()) -> None:
    """Raise InvalidModel unless the graph is flat, sorted, of standard operators, deterministic and within limits.

    weights: the names of constants that are kept apart.
    """
    if not proto.graph.node or not proto.graph.input or not proto.graph.output:
        raise InvalidModel("graph", "has no nodes, no inputs or no outputs", remedy=_REMEDY)
    foreign = sorted({o.domain for o in proto.opset_import} - _STANDARD)
    if foreign and any(node.domain == foreign[0] for node in nested_nodes(proto.graph)):
        raise InvalidModel("graph", f"uses operators of {foreign[0]!r}", remedy="export with standard operators only")
    if not any(o.domain in _STANDARD for o in proto.opset_import):
        raise InvalidModel("graph", "names no version of the standard operators", remedy=_REMEDY)
    if proto.graph.sparse_initializer:
        raise InvalidModel("graph", "has sparse weights", remedy="store them dense")
    for count, node in enumerate(nested_nodes(proto.graph)):
        _check_node(node, count)
    _check_order(proto.graph, {v.name for v in proto.graph.input} | set(weights))


def take_weights(proto: onnx.ModelProto) -> dict[str, torch.Tensor]:
    """The large constants, taken out of `proto`; small ones stay in it. Constant nodes become such constants first."""
    _lift_constants(proto.graph)
    weights: dict[str, torch.Tensor] = {}
    small = []
    for initializer in proto.graph.initializer:
        array = _array(initializer)
        if array.size > _SMALL_ELEMENTS:
            weights[initializer.name] = torch.from_numpy(np.array(array))
        else:
            small.append(numpy_helper.from_array(array, initializer.name))
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(small)
    return weights


def _array(initializer: TensorProto) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    what = f"weight {initializer.name!r}"
    if initializer.data_type not in _ELEMENTS:
        kind = TensorProto.DataType.Name(initializer.data_type)
        raise InvalidModel(what, f"is of the dtype {kind}", remedy="use float32, float16, float64, bool or integers")
    if any(size < 0 for size in initializer.dims) or math.prod(initializer.dims) > _MOST_ELEMENTS:
        raise InvalidModel(what, "has an impossible shape", value=list(initializer.dims), remedy=_REMEDY)
    return numpy_helper.to_array(initializer)


def _lift_constants(graph: onnx.GraphProto) -> None:
    kept = []
    for node in graph.node:
        values = {a.name: a for a in node.attribute}
        if node.op_type == "Constant" and "value" in values:
            lifted = graph.initializer.add()
            lifted.CopyFrom(values["value"].t)
            lifted.name = node.output[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _initializers(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """All initializers, those of bodies included."""
    yield from graph.initializer
    for node in nested_nodes(graph):
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                yield from body.initializer


def _check_node(node: onnx.NodeProto, count: int) -> None:
    if count >= _MOST_NODES:
        raise InvalidModel("graph", f"has over {_MOST_NODES} nodes", remedy="simplify the model")
    if node.domain not in _STANDARD:
        remedy = "export with standard operators only"
        raise InvalidModel(f"op {node.op_type!r}", f"is of the foreign domain {node.domain!r}", remedy=remedy)
    if node.op_type in RANDOM_OPERATORS:
        raise InvalidModel(f"op {node.op_type!r}", "is random", remedy="take the random op out")
    for attribute in node.attribute:
        if attribute.HasField("t") and attribute.t.data_location == TensorProto.EXTERNAL:
            raise InvalidModel(f"op {node.op_type!r}", "keeps a constant in another file", remedy=_REMEDY)


def _check_order(graph: onnx.GraphProto, known: set[str]) -> None:
    known |= {i.name for i in graph.initializer}
    for node in graph.node:
        missing = [name for name in reads(node) if name not in known]
        again = [name for name in node.output if name in known and name]
        if missing or again:
            problem = f"reads {missing[0]!r}, which nothing before it makes" if missing else f"makes {again[0]!r} again"
            raise InvalidModel(f"op {node.op_type!r}", problem, remedy=_REMEDY)
        known.update(node.output)
    lost = [v.name for v in graph.output if v.name not in known]
    if lost:
        raise InvalidModel(f"output {lost[0]!r}", "is made by nothing", remedy=_REMEDY)
    strange = [name for name in known if name.startswith(RESERVED) or len(name) > 256 or not name.isprintable()]
    if any(strange):
        raise InvalidModel("graph", "has a value with an unusable name", value=strange[0], remedy=_REMEDY)
    ours = [node.name for node in graph.node if node.name.startswith(RESERVED)]
    if ours:
        raise InvalidModel("graph", "has an op with an unusable name", value=ours[0], remedy=_REMEDY)


def _load_external(proto: onnx.ModelProto, folder: Path) -> None:
    """Read what initializers keep in other files, each a plain file beneath `folder` with room for what is asked."""
    for initializer in _initializers(proto.graph):
        if initializer.data_location != TensorProto.EXTERNAL:
            continue
        where = {entry.key: entry.value for entry in initializer.external_data}
        file = _beneath(folder, where.get("location", ""), initializer.name)
        offset, size = int(where.get("offset", 0)), file.stat().st_size
        length = int(where.get("length", size - offset))
        if offset < 0 or length < 0 or offset + length > size:
            raise InvalidModel(f"weight {initializer.name!r}", f"reaches past the end of {file.name}", remedy=_REMEDY)
        with file.open("rb") as stream:
            stream.seek(offset)
            initializer.raw_data = stream.read(length)
        initializer.data_location = TensorProto.DEFAULT
        del initializer.external_data[:]


def _beneath(folder: Path, location: str, weight: str) -> Path:
    file = (folder / location).resolve()  # follows links, so that none leads out
    if not location or Path(location).is_absolute() or not file.is_relative_to(folder.resolve()) or not file.is_file():
        remedy = "keep external data in the model's own folder"
        raise InvalidModel(f"weight {weight!r}", "is not in a file beside the model", value=location, remedy=remedy)
    return file
