"""TorchModel: a functional program of ATen operators with its weights; what torch front ends make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from partitioner.derive_graph import derive_graph
from partitioner.graph import ModelGraph
from partitioner.lowering import lower
from partitioner.model import Calibration, check_calibration, check_interface, contents_digest
from partitioner.program import Program
from partitioner.program_json import program_to_data
from partitioner.segments import Segments, split
from partitioner.spec import Interface

if TYPE_CHECKING:
    from partitioner.onnx_form import OnnxForm

__all__ = ["TorchModel", "TorchSegment"]


@dataclass(frozen=True, eq=False)
class TorchModel:
    """A model as data, ready to be cut (see `Model`).

    weights: by the names in `program.weights`. flops: (per item, fixed) by op name. Raises InvalidModel when the
    interface does not fit the program.
    """

    program: Program
    weights: Mapping[str, torch.Tensor]
    interface: Interface
    flops: Mapping[str, tuple[int, int]]
    calibration: tuple[torch.Tensor, ...] = ()
    calibration_groups: tuple[int, ...] = ()
    calibration_truth: tuple[int, ...] = ()
    graph: ModelGraph = field(init=False)
    digest: str = field(init=False)
    whole: TorchSegment = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_interface(self.interface, self.program.inputs, self.program.outputs)
        check_calibration(Calibration(self.calibration, self.calibration_groups, self.calibration_truth))
        object.__setattr__(self, "graph", derive_graph(self.program, self.flops))
        object.__setattr__(self, "digest", contents_digest(self.structure(), self.interface, self.weights))
        object.__setattr__(self, "whole", self.segment(self.program.inputs, self.program.outputs))
        _ = self.whole.module  # a program that torch cannot hold is refused here, not at the first request

    @property
    def name(self) -> str:
        """The model's public name."""
        return self.interface.name

    def split(self, edge_ops: Iterable[str]) -> Segments:
        """See `Model`. Each segment is a `TorchSegment`."""
        return split(self.graph, edge_ops, self.segment)

    def renamed(self, name: str) -> TorchModel:
        """See `Model`."""
        return replace(self, interface=replace(self.interface, name=name))

    def calibrated(self, calibration: Calibration) -> TorchModel:
        """See `Model`."""
        inputs, groups, truth = calibration
        return replace(self, calibration=inputs, calibration_groups=groups, calibration_truth=truth)

    def with_interface(self, interface: Interface) -> TorchModel:
        """See `Model`."""
        return replace(self, interface=interface)

    def structure(self) -> dict[str, Any]:
        """See `Model`."""
        return program_to_data(self.program)

    @cached_property
    def onnx_form(self) -> OnnxForm:
        """The whole model at the ONNX level, exported once; its tensors keep their names.

        Raises InvalidModel naming the op that has no ONNX form.
        """
        from partitioner.onnx_export import exported_form  # imports onnx: only for engines that need it

        return exported_form(self)

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The whole model: one tensor for each output, in order."""
        return self.whole(*inputs)

    def segment(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> TorchSegment:
        """See `Model`."""
        return TorchSegment(self, inputs, outputs)


@dataclass(frozen=True, eq=False)
class TorchSegment:
    """A slice of a TorchModel; called, it runs op by op: the bits of the whole model."""

    model: TorchModel = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def module(self) -> fx.GraphModule:
        """Its ops as torch runs them, over the model's own weights. Made when first used."""
        return lower(self.model.program, self.model.weights, self.inputs, self.outputs)

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See `Segment`."""
        outputs: tuple[torch.Tensor, ...] = self.module(*tensors)
        return outputs
