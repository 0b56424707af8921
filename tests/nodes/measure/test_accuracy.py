"""What codecs do to the answers: nothing when lossless, little with eight bits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isthmus.errors import InvalidModel
from nodes.codecs.factory import codec
from nodes.measure.accuracy import allowed_codecs, measure_accuracy, measure_quality
from nodes.measure.answer_quality import Share
from partitioner.model import Model


@pytest.mark.parametrize("name", ["raw", "zstd", "lz4"])
def test_lossless_codecs_agree_fully(small_model: Model, name: str) -> None:
    cut = [op.name for op in small_model.graph.ops[:2]]
    boundary = small_model.graph.boundary(cut)
    found = measure_accuracy(small_model, cut, dict.fromkeys(boundary, name))
    assert (found.metric, found.value, found.n) == ("top1_agreement", 1.0, 6)


def test_eight_bits_agree_closely_in_direction(small_model: Model) -> None:
    outputs = replace(small_model.interface.outputs[0], labels=())
    model = replace(small_model, interface=replace(small_model.interface, outputs=(outputs,)))
    cut = [op.name for op in model.graph.ops[:1]]
    found = measure_accuracy(model, cut, dict.fromkeys(model.graph.boundary(cut), "int8"))
    assert found.metric == "cosine"
    assert 0.99 < found.value < 1.0


def test_a_model_without_calibration_inputs_is_refused(small_model: Model) -> None:
    with pytest.raises(InvalidModel, match="calibration"):
        measure_accuracy(replace(small_model, calibration=()), (), {})


def test_codecs_may_be_given_as_made(small_model: Model) -> None:
    cut = [op.name for op in small_model.graph.ops[:2]]
    (tensor,) = small_model.graph.boundary(cut)
    made = measure_quality(small_model, cut, {tensor: codec("int4")})
    assert made == measure_quality(small_model, cut, {tensor: "int4"})
    assert made.max_abs > 0


def test_the_budget_keeps_what_agrees_well_enough(small_model: Model) -> None:
    cut = [op.name for op in small_model.graph.ops[:2]]
    (tensor,) = small_model.graph.boundary(cut)
    good = measure_quality(small_model, cut, {tensor: "int8"})
    bad = replace(good, top1_agreement=Share(0.9, 0.8, 1.0, 6))
    assert allowed_codecs({(tensor, "int8"): good, (tensor, "int3"): bad}, 0.02) == {(tensor, "int8")}
    assert len(allowed_codecs({(tensor, "int8"): good, (tensor, "int3"): bad}, 0.1)) == 2
