"""Tensors that some codecs cannot be made for: too large for a table, or with numbers at the end of float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nodes.measure.accuracy_budget import AccuracyBudget
from nodes.measure.calibration_items import CalibrationItems, CalibrationRuns
from nodes.measure.codec_sizes import MeasuredCodec, lossy_codecs, takes_transform
from nodes.measure.transform_calibration import transform_codec
from nodes.measure.transform_fit import fit_transform
from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec


class Crossing(torch.nn.Module):
    """Two ops, between which a tensor crosses, and an answer of few numbers."""

    def __init__(self, first: torch.nn.Module, then: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first, self.then = first, then

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.then(self.first(x))


class Mask(torch.nn.Module):
    """What attention adds to its scores: zeros and the least float."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, 0.0, torch.finfo(torch.float32).min)


def runs_of(module: torch.nn.Module, shape: tuple[int, ...]) -> CalibrationRuns:
    items = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    spec = ModelSpec(
        module=module.eval(), example_inputs=(items[:2],), name="m", input_names=("x",), output_names=("y",),
        calibration=(items,),
    )  # fmt: skip
    return CalibrationRuns(model_from_module(spec))


def lossy_at(runs: CalibrationRuns, tensor_shape: tuple[int, ...]) -> list[MeasuredCodec]:
    """Of the first tensor of that shape."""
    items = crossing(runs, tensor_shape)
    return list(lossy_codecs(runs, items, items.segments.boundary[0], 0.02))


def crossing(runs: CalibrationRuns, tensor_shape: tuple[int, ...]) -> CalibrationItems:
    ops = runs.model.graph.ops
    made = (runs.at([op.name for op in ops[:count]]) for count in range(1, len(ops)))
    return next(one for one in made if tuple(one.boundary[0].shape[1:]) == tensor_shape)


def wide() -> CalibrationRuns:
    return runs_of(Crossing(torch.nn.Conv2d(1, 2, 1), lambda x: x.mean((2, 3))), (1, 300, 300))


def long() -> CalibrationRuns:
    return runs_of(Crossing(torch.nn.Conv1d(2, 8, 3, padding=1), lambda x: x.mean(2)), (2, 5000))


@pytest.mark.parametrize(("make", "shape"), [(wide, (2, 300, 300)), (long, (8, 5000))])
def test_what_no_table_holds_gets_the_other_codecs(make: Callable[[], CalibrationRuns], shape: tuple[int, ...]) -> None:
    names = [one.codec.name for one in lossy_at(make(), shape)]
    assert "int8" in names
    assert "transform" not in names


def test_nothing_is_hoped_of_a_transform_where_no_table_holds_it() -> None:
    model = wide().model
    (large,) = (tensor for tensor in model.graph.tensors.values() if tensor.shape_at(1) == (1, 2, 300, 300))
    assert not takes_transform(large)
    assert not list(AccuracyBudget(model, 0.02).hopes())


def test_maps_and_tokens_of_common_models_have_tables() -> None:
    for shape in ((1280, 7, 7), (32, 112, 112), (384, 64), (512, 1024)):
        assert takes_transform(torch.zeros(1, *shape))


def test_a_mask_that_crosses_gets_no_transform_and_crosses_exactly() -> None:
    runs = runs_of(Crossing(Mask(), lambda x: x.softmax(2).sum(1)), (32, 64))
    found = lossy_at(runs, (32, 64))
    assert {"int8", "int3"} == {one.codec.name for one in found}
    assert all(one.loss == 0.0 for one in found)


def test_directions_that_hardly_matter_have_no_table_either() -> None:
    """The rotation is in the metric of the gradients, so that those of 1e-12 make numbers of 1e12."""
    values = torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    fit = fit_transform(values, 1e-12 * values)
    assert float(np.abs(fit.unit.synthesis).max()) > 1e9
    assert transform_codec(fit, 1.0) is None
    assert transform_codec(fit_transform(values, values), 1.0) is not None
