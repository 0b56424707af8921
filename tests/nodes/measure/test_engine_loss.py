"""What two profiles' engines take of an accuracy budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.measure.engine_loss import NO_LOSS, engine_loss
from partitioner.measurements import Provenance
from partitioner.plan_table import EngineDifference
from partitioner.profiles import DeviceProfile
from partitioner.torch_model import TorchModel


def profile(model: TorchModel, engine: str, agreement: float | None = None, cosine: float = 1.0) -> DeviceProfile:
    """On that engine; agreement: with eager on this model, None where nobody measured."""
    made = Provenance("2026-01-01T00:00:00Z", "here", "2.13", 0.1, False, "glibc")
    bare = DeviceProfile("cpu", engine, 1, 1.0, {"float32": 1e9}, 1e9, 1e-6, {}, made, engine=engine)
    if agreement is None:
        return bare
    return bare.with_engine_difference(model.digest, EngineDifference(0.1, cosine, agreement, 60, True))


def test_eager_loses_nothing(small_model: TorchModel) -> None:
    assert engine_loss(small_model, profile(small_model, "eager"), profile(small_model, "paced")) == NO_LOSS


def test_what_two_engines_lose_adds_up(small_model: TorchModel) -> None:
    found = engine_loss(small_model, profile(small_model, "onnxruntime", 0.99), profile(small_model, "inductor", 0.98))
    assert found.loss == pytest.approx(0.03)
    assert found.words == "0.01 lost by onnxruntime, 0.02 lost by inductor"


def test_one_engine_on_both_sides_counts_once(small_model: TorchModel) -> None:
    sides = [profile(small_model, "onnxruntime", agreement) for agreement in (0.99, 0.98)]
    assert engine_loss(small_model, *sides).loss == pytest.approx(0.02)
    assert engine_loss(small_model, *sides[::-1]).loss == pytest.approx(0.02)


def test_an_output_without_classes_is_judged_by_its_direction(small_model: TorchModel) -> None:
    output = replace(small_model.interface.outputs[0], labels=())
    plain = replace(small_model, interface=replace(small_model.interface, outputs=(output,)))
    side = profile(plain, "onnxruntime", 0.9, cosine=0.999)
    assert engine_loss(plain, side, profile(plain, "eager")).loss == pytest.approx(0.001)


def test_what_nobody_measured_is_said(small_model: TorchModel) -> None:
    found = engine_loss(small_model, profile(small_model, "eager"), profile(small_model, "aot"))
    assert found.loss == 0.0
    assert found.words == "what aot loses is not known: isthmus profile MODEL"
