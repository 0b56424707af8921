"""OnnxModel: a graph of ONNX operators with its weights; what the ONNX front end makes. It runs on onnxruntime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import onnx
import torch
from google.protobuf import json_format

from partitioner.graph import ModelGraph
from partitioner.model import Calibration, check_calibration, check_interface, contents_digest
from partitioner.onnx_form import OnnxForm
from partitioner.onnx_graph import onnx_graph
from partitioner.onnx_session import OnnxSession
from partitioner.program import TensorType
from partitioner.segments import Segments, split
from partitioner.spec import Interface

__all__ = ["OnnxModel", "OnnxSegment"]


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A model as data, ready to be cut (see `Model`).

    proto: flat and checked, nodes with names of their own, without large constants. weights: those, by name. types: of
    the inputs and of all that nodes make. Raises InvalidModel when the interface does not fit the graph.
    """

    proto: onnx.ModelProto
    weights: Mapping[str, torch.Tensor]
    types: Mapping[str, TensorType]
    interface: Interface
    calibration: tuple[torch.Tensor, ...] = ()
    calibration_groups: tuple[int, ...] = ()
    calibration_truth: tuple[int, ...] = ()
    graph: ModelGraph = field(init=False)
    digest: str = field(init=False)
    onnx_form: OnnxForm = field(init=False, repr=False)
    whole: OnnxSegment = field(init=False, repr=False)

    def __post_init__(self) -> None:
        graph = onnx_graph(self.proto, self.weights, self.types)
        check_interface(self.interface, graph.inputs, graph.outputs)
        check_calibration(Calibration(self.calibration, self.calibration_groups, self.calibration_truth))
        values = {name: name for name in graph.tensors}
        object.__setattr__(self, "graph", graph)
        object.__setattr__(self, "digest", contents_digest(self.structure(), self.interface, self.weights))
        object.__setattr__(self, "onnx_form", OnnxForm(self.proto, self.weights, graph, values))
        object.__setattr__(self, "whole", self.segment(graph.inputs, graph.outputs))

    @property
    def name(self) -> str:
        """The model's public name."""
        return self.interface.name

    def split(self, edge_ops: Iterable[str]) -> Segments:
        """See `Model`. Each segment is an `OnnxSegment`."""
        return split(self.graph, edge_ops, self.segment)

    def renamed(self, name: str) -> OnnxModel:
        """See `Model`."""
        return replace(self, interface=replace(self.interface, name=name))

    def calibrated(self, calibration: Calibration) -> OnnxModel:
        """See `Model`."""
        inputs, groups, truth = calibration
        return replace(self, calibration=inputs, calibration_groups=groups, calibration_truth=truth)

    def with_interface(self, interface: Interface) -> OnnxModel:
        """See `Model`."""
        return replace(self, interface=interface)

    def structure(self) -> dict[str, Any]:
        """Graph and types as JSON takes them: all but the interface and the weights."""
        return {
            "onnx": json_format.MessageToDict(self.proto),
            "types": {n: [t.dtype, [[d.per_item, d.fixed] for d in t.shape]] for n, t in self.types.items()},
        }

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The whole model: one tensor for each output, in order."""
        return self.whole(*inputs)

    def segment(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> OnnxSegment:
        """See `Model`."""
        return OnnxSegment(self, inputs, outputs)


@dataclass(frozen=True, eq=False)
class OnnxSegment:
    """A slice of an OnnxModel; called, it runs node by node, nothing fused: the bits of the whole model so run."""

    model: OnnxModel = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    _sessions: dict[int, OnnxSession] = field(default_factory=dict, init=False, repr=False)

    @property
    def session(self) -> OnnxSession:
        """It on onnxruntime, with the calling thread's thread budget for torch. Made when first used with that budget:
        a session's threads stay as it was made, and whoever calls next may be given another number."""
        threads = torch.get_num_threads()
        if threads not in self._sessions:
            made = OnnxSession(self.model.onnx_form, self.inputs, self.outputs, threads=threads, exact=True)
            self._sessions.setdefault(threads, made)  # two threads that made one both take the first
        return self._sessions[threads]

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See `Segment`."""
        return self.session(*tensors)
