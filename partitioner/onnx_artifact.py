"""Back to an OnnxModel from what its artifact holds (`OnnxModel.structure` is what `graph.json` says)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import torch
from google.protobuf import json_format

from isthmus.errors import InvalidModel
from partitioner.model import NO_CALIBRATION, Calibration
from partitioner.onnx_file import check_structure
from partitioner.onnx_model import OnnxModel
from partitioner.program_json import types_from_data
from partitioner.spec import Interface

__all__ = ["onnx_model_from_data"]

_REMEDY = "import the model anew"


def onnx_model_from_data(
    data: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    interface: Interface,
    calibration: Calibration = NO_CALIBRATION,
) -> OnnxModel:
    """The model of such a graph file; as untrusted as any. Raises InvalidModel naming the fault."""
    if data.keys() != {"format", "onnx", "types"}:
        raise InvalidModel("graph", "is not a model graph", remedy=_REMEDY)
    try:
        proto = json_format.ParseDict(data["onnx"], onnx.ModelProto())
    except (json_format.ParseError, RecursionError, TypeError, AttributeError) as error:
        raise InvalidModel("graph", f"is not ONNX: {error}", remedy=_REMEDY) from error
    types = types_from_data(data["types"])
    if any(i.data_location == onnx.TensorProto.EXTERNAL for i in proto.graph.initializer):
        raise InvalidModel("graph", "keeps constants in other files", remedy=_REMEDY)
    check_structure(proto, weights)
    values = {v.name for v in proto.graph.input} | {name for node in proto.graph.node for name in node.output if name}
    if types.keys() != values:
        raise InvalidModel("graph", "does not say the type of every value", remedy=_REMEDY)
    try:
        return OnnxModel(proto, weights, types, interface, *calibration)
    except (LookupError, ValueError, TypeError, AttributeError) as error:  # what it costs is told from its attributes
        raise InvalidModel("graph", f"has an op that lacks what it needs: {error!r}", remedy=_REMEDY) from error
