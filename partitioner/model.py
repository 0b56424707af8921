"""What every model offers, whatever it was made from; the contents' digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from isthmus.errors import InvalidModel
from partitioner.graph import ModelGraph
from partitioner.plain_json import canonical_json
from partitioner.segments import Segment, Segments
from partitioner.spec import Interface
from partitioner.weights import contiguous_form, stride_order

if TYPE_CHECKING:
    from partitioner.onnx_form import OnnxForm

__all__ = [
    "NO_CALIBRATION",
    "Calibration",
    "Model",
    "Segments",
    "check_calibration",
    "check_interface",
    "contents_digest",
    "has_classes",
    "has_items",
    "has_judged_items",
    "without_rows",
]


class Calibration(NamedTuple):
    """Inputs that stand for real traffic, the source of each item, and its right class; see `Model`."""

    inputs: tuple[torch.Tensor, ...] = ()
    groups: tuple[int, ...] = ()
    truth: tuple[int, ...] = ()


NO_CALIBRATION = Calibration()


class Model(Protocol):
    """A model as data, ready to be cut: a `TorchModel` of ATen operators or an `OnnxModel` of ONNX ones.

    calibration: one tensor for each input that stand for real traffic, may be empty. calibration_groups: the source of
    each of its items where several share one, else empty. calibration_truth: the right class of each, else empty.
    """

    @property
    def name(self) -> str:
        """The model's public name."""

    @property
    def interface(self) -> Interface:
        """Names, preprocessing and labels."""

    @property
    def calibration(self) -> tuple[torch.Tensor, ...]:
        """Items [count, ...] for each input, or nothing."""

    @property
    def calibration_groups(self) -> tuple[int, ...]:
        """The source of each calibration item, or nothing."""

    @property
    def calibration_truth(self) -> tuple[int, ...]:
        """The right class of each calibration item for the first output, or nothing."""

    @property
    def graph(self) -> ModelGraph:
        """Ops and tensors."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over structure, interface and weights."""

    @property
    def weights(self) -> Mapping[str, torch.Tensor]:
        """By name; every segment shares them."""

    @property
    def whole(self) -> Segment:
        """All of it, from inputs to outputs."""

    @property
    def onnx_form(self) -> OnnxForm:
        """All of it at the ONNX level, with its tensors by the same names. Raises InvalidModel naming an op without."""

    def structure(self) -> dict[str, Any]:
        """All but interface and weights, as JSON takes it: what the digest is over."""

    def split(self, edge_ops: Iterable[str]) -> Segments:
        """The two sides of a cut. Raises InvalidPlan when `edge_ops` is not closed under predecessors."""

    def segment(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Segment:
        """The slice that makes the tensors `outputs` of the tensors `inputs`, which must suffice."""

    def renamed(self, name: str) -> Model:
        """The same model under another public name. The digest covers the name."""

    def calibrated(self, calibration: Calibration) -> Model:
        """The same model with other calibration inputs; they are no part of the digest. Raises InvalidModel."""

    def with_interface(self, interface: Interface) -> Model:
        """The same model with another public face, which is part of the digest. Raises InvalidModel unless it names
        the model's inputs and as many outputs."""

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The whole model: one tensor for each output, in order."""


def contents_digest(structure: Any, interface: Interface, weights: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over JSON data, the interface and every weight with its dtype, shape, stride order and bytes."""
    found = hashlib.sha256(canonical_json(structure).encode())
    found.update(interface.to_json().encode())
    for name in sorted(weights):
        tensor = weights[name]
        found.update(canonical_json([name, str(tensor.dtype), list(tensor.shape), list(stride_order(tensor))]).encode())
        found.update(_raw_bytes(tensor))
    return found.hexdigest()


def check_interface(interface: Interface, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    """Raise InvalidModel unless the interface names exactly these inputs and as many outputs."""
    names = tuple(i.name for i in interface.inputs)
    if names != inputs:
        raise InvalidModel("input names", "differ from the graph's inputs", value=names, remedy=f"use {inputs}")
    if len(interface.outputs) != len(outputs):
        problem = f"names {len(interface.outputs)} outputs, the model has {len(outputs)}"
        raise InvalidModel("output names", problem, remedy="name every output once, in order")


def has_classes(model: Model) -> bool:
    """Whether the first output ranks classes: it has labels, or the right classes of calibration items are known, and
    an item's numbers are a list of more than one. (A map ranks classes at each of its places: the best of all of them
    says little of the others.)"""
    _, *sizes = model.graph.tensors[model.graph.outputs[0]].shape_at(1)
    is_list = prod(sizes) != 1 and prod(sizes) == max(sizes, default=1)
    return is_list and bool(model.interface.outputs[0].labels or model.calibration_truth)


def has_judged_items(model: Model) -> bool:
    """Whether answers can be judged: there are calibration inputs, and items can be told apart in what is compared."""
    return has_items(model) and not without_rows(model)


def has_items(model: Model) -> bool:
    """Whether there are calibration inputs, and the model can run one item of them: all inputs begin with the batch."""
    tensors = (model.graph.tensors[name] for name in model.graph.inputs)
    return bool(model.calibration) and len(model.calibration[0]) > 0 and all(one.rows_are_items for one in tensors)


def without_rows(model: Model) -> tuple[str, ...]:
    """Of the inputs and the first output, those that do not begin with the batch: items are not told apart in them."""
    named = (*model.graph.inputs, *model.graph.outputs[:1])
    return tuple(name for name in named if not model.graph.tensors[name].rows_are_items)


def check_calibration(calibration: Calibration) -> None:
    """Raise InvalidModel unless there are no groups, or one for each calibration item, and of the truth the same."""
    items, truth = len(calibration.inputs[0]) if calibration.inputs else 0, calibration.truth
    for name, given, what in (("groups", calibration.groups, "source"), ("truth", truth, "right class")):
        if given and len(given) != items:
            problem, remedy = f"must be as many as the {items} items", f"name the {what} of every item, or of none"
            raise InvalidModel(f"calibration_{name}", problem, value=len(given), remedy=remedy)
    if any(index < 0 for index in truth):
        raise InvalidModel("calibration_truth", "has a class below zero", value=min(truth), remedy="count from zero")


def _raw_bytes(tensor: torch.Tensor) -> memoryview:
    flat: Any = contiguous_form(tensor).cpu().reshape(-1).view(torch.uint8).numpy()
    return memoryview(flat)
