"""Gradients of the answer at a cut predict what a small change there does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from isthmus.errors import InvalidInput
from nodes.measure.sensitivity import boundary_gradients, boundary_tensors
from partitioner.torch_model import TorchModel


def test_gradients_predict_the_divergence(small_model: TorchModel) -> None:
    segments = small_model.split([op.name for op in small_model.graph.ops[:1]])
    boundary = boundary_tensors(segments, small_model.calibration)
    slopes = boundary_gradients(small_model, segments, boundary, segments.boundary[0], draws=600).flatten(1)
    change = 1e-2 * torch.randn(boundary[0].shape[1:], generator=torch.Generator().manual_seed(5))
    predicted = float((slopes @ change.flatten()).square().mean()) / 2
    before, after = (segments.suffix(boundary[0] + d)[0].log_softmax(1) for d in (0.0, change))
    measured = float((before.exp() * (before - after)).sum(1).mean())
    assert predicted == pytest.approx(measured, rel=0.25)


def test_gradients_predict_the_change_of_other_outputs(small_model: TorchModel) -> None:
    outputs = replace(small_model.interface.outputs[0], labels=())
    model = replace(small_model, interface=replace(small_model.interface, outputs=(outputs,)))
    segments = model.split([op.name for op in model.graph.ops[:1]])
    boundary = boundary_tensors(segments, model.calibration)
    slopes = boundary_gradients(model, segments, boundary, segments.boundary[0], draws=600).flatten(1)
    change = 1e-2 * torch.randn(boundary[0].shape[1:], generator=torch.Generator().manual_seed(5))
    before, after = (segments.suffix(boundary[0] + d)[0] for d in (0.0, change))
    measured = float(((after - before).norm(dim=1) / before.norm(dim=1)).square().mean())
    assert float((slopes @ change.flatten()).square().mean()) == pytest.approx(measured, rel=0.25)


def test_a_tensor_that_does_not_cross_is_refused(small_model: TorchModel) -> None:
    segments = small_model.split([op.name for op in small_model.graph.ops[:1]])
    boundary = boundary_tensors(segments, small_model.calibration)
    with pytest.raises(InvalidInput, match="does not cross"):
        boundary_gradients(small_model, segments, boundary, "x")
