"""What two profiles' engines take of an accuracy budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.measure.engine_loss import NO_LOSS, EngineLoss, engine_loss
from partitioner.measurements import Provenance
from partitioner.model import Model
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
    assert (found.edge, found.cloud, found.both) == pytest.approx((0.01, 0.02, 0.03))
    assert found.words == "0.01 lost by onnxruntime, 0.02 lost by inductor"


def test_one_engine_on_both_sides_counts_once(small_model: TorchModel) -> None:
    one, other = (profile(small_model, "onnxruntime", agreement) for agreement in (0.99, 0.98))
    assert engine_loss(small_model, one, other).both == pytest.approx(0.02)
    assert engine_loss(small_model, other, one).both == pytest.approx(0.02)


def test_of_one_engine_a_side_that_nobody_measured_loses_what_the_other_does(small_model: TorchModel) -> None:
    found = engine_loss(small_model, profile(small_model, "aot"), profile(small_model, "aot", 0.98))
    assert (found.edge, found.cloud, found.both) == pytest.approx((0.02, 0.02, 0.02))


def test_an_output_without_classes_is_judged_by_its_direction(small_model: TorchModel) -> None:
    output = replace(small_model.interface.outputs[0], labels=())
    plain = replace(small_model, interface=replace(small_model.interface, outputs=(output,)))
    side = profile(plain, "onnxruntime", 0.9, cosine=0.999)
    assert engine_loss(plain, side, profile(plain, "eager")).both == pytest.approx(0.001)


def test_what_nobody_measured_is_said(small_model: TorchModel) -> None:
    found = engine_loss(small_model, profile(small_model, "eager"), profile(small_model, "aot"))
    assert found.both == 0.0
    assert found.words == "what aot loses is not known: isthmus profile MODEL"


def test_what_no_profile_says_is_measured_where_it_can_be(small_model: TorchModel) -> None:
    def measure(model: Model, device: DeviceProfile) -> EngineDifference | None:
        assert model is small_model
        return EngineDifference(0.1, 1.0, 0.99, 60, True) if device.engine == "onnxruntime" else None

    silent, told = profile(small_model, "onnxruntime"), profile(small_model, "onnxruntime", 0.98)
    found = engine_loss(small_model, silent, profile(small_model, "aot"), measure)
    assert (found.edge, found.cloud, found.both) == pytest.approx((0.01, 0.0, 0.01))
    unknown = "what aot loses is not known: isthmus profile MODEL"
    assert found.words == f"0.01 lost by onnxruntime as measured here, {unknown}"
    assert engine_loss(small_model, silent, told, measure).words == "0.02 lost by onnxruntime"


@pytest.mark.parametrize(
    ("edge", "cloud", "sides", "charged"),
    [
        (0.005, 0.01, (), 0.015),
        (0.0, 0.03, ("edge",), 0.0),
        (0.03, 0.0, ("cloud",), 0.0),
        (0.015, 0.01, ("edge", "cloud"), 0.015),
        (0.03, 0.04, (), 0.07),
    ],
)
def test_a_side_that_runs_nothing_is_not_charged(
    edge: float, cloud: float, sides: tuple[str, ...], charged: float
) -> None:
    found = EngineLoss(edge, cloud, edge + cloud, "said")
    assert found.whole_on(0.02) == sides
    assert found.charged(0.02) == pytest.approx(charged)


def test_the_plans_that_are_left_are_said() -> None:
    assert EngineLoss(0.0, 0.03, 0.03, "0.03 lost by aot").said(0.02) == "0.03 lost by aot: edge-only alone keeps to it"
    assert EngineLoss(0.0, 0.03, 0.03, "0.03 lost by aot").said(0.05) == "0.03 lost by aot"
