"""Lossy codecs are used where their measured loss allows, and not elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from isthmus.errors import InvalidInput
from nodes.measure.accuracy import measure_accuracy
from nodes.measure.accuracy_budget import accuracy_table
from nodes.plan_shapes import cut_plan
from partitioner.accuracy_rule import AccuracyTable
from partitioner.codec_choice import DEFAULT_CODECS
from partitioner.plan import Plan
from partitioner.torch_model import TorchModel


def _plans(model: TorchModel, table: AccuracyTable) -> Sequence[Plan]:
    """The first cut, int8 wherever the table lets it."""
    cut = (model.graph.ops[0].name,)
    names = model.graph.boundary(cut)
    return [cut_plan(model, cut, {name: "int8" if table.allows(name, "int8") else "raw" for name in names})]


@pytest.fixture
def model(small_model: TorchModel) -> TorchModel:
    """Judged by direction, where eight bits always lose a little."""
    outputs = replace(small_model.interface.outputs[0], labels=())
    return replace(small_model, interface=replace(small_model.interface, outputs=(outputs,)))


def _loss(model: TorchModel, plan: Plan) -> float:
    lossy = {t.tensor: t.codec for t in plan.boundary}
    return 1.0 - measure_accuracy(model, plan.edge_ops, lossy).value


def test_a_codec_within_the_budget_stays(model: TorchModel) -> None:
    table = accuracy_table(model, lambda t: _plans(model, t), DEFAULT_CODECS, 0.02)
    (plan,) = _plans(model, table)
    assert {tensor.codec for tensor in plan.boundary} == {"int8"}
    assert 0.0 < _loss(model, plan) <= 0.02


def test_a_codec_over_the_budget_goes(model: TorchModel) -> None:
    table = accuracy_table(model, lambda t: _plans(model, t), DEFAULT_CODECS, 1e-9)
    (plan,) = _plans(model, table)
    assert {tensor.codec for tensor in plan.boundary} == {"raw"}


def test_nothing_is_lossy_without_calibration_inputs(model: TorchModel) -> None:
    blind = replace(model, calibration=())
    table = accuracy_table(blind, lambda t: _plans(blind, t), DEFAULT_CODECS, 1.0)
    assert not table.allows(model.graph.ops[0].outputs[0], "int8")


def test_a_budget_that_is_none_is_refused(model: TorchModel) -> None:
    with pytest.raises(InvalidInput, match="accuracy budget"):
        accuracy_table(model, lambda t: _plans(model, t), DEFAULT_CODECS, 2.0)
