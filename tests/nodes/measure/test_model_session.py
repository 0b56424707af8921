"""Measuring a model within a budget."""

from __future__ import annotations

import pytest

from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.measure.anchors import anchor_positions, measure_anchors
from nodes.measure.device_profile import measure_device
from nodes.measure.model_session import measure_model_within
from partitioner.batch_law import batch_law
from partitioner.profiles import DeviceProfile
from partitioner.torch_model import TorchModel


@pytest.fixture(scope="module")
def device() -> DeviceProfile:
    return measure_device(0.2, EagerEngine())


def test_a_large_budget_leaves_nothing_out(device: DeviceProfile, small_model: TorchModel) -> None:
    known = measure_model_within(small_model, device, EagerEngine(), budget_s=60.0)
    assert known.provenance.left_out == ()
    assert known.footprints[0].peak_activation_bytes
    law = batch_law(known, small_model.digest, len(small_model.graph.ops))
    assert law is not None
    assert max(law.seconds) == small_model.interface.max_batch


def test_a_small_budget_measures_the_ops_and_says_what_it_left_out(
    device: DeviceProfile, small_model: TorchModel
) -> None:
    known = measure_model_within(small_model, device, EagerEngine(), budget_s=0.0)
    assert known.has_op_times(small_model.digest)
    assert any("batch 64" in one for one in known.provenance.left_out)
    assert DeviceProfile.from_json(known.to_json()) == known


def test_an_engine_whose_memory_nobody_sees_says_none(device: DeviceProfile, small_model: TorchModel) -> None:
    known = measure_model_within(small_model, device, engine_for("onnxruntime"), budget_s=3.0)
    assert known.footprints[0].peak_activation_bytes is None


def test_anchors_stand_before_ops_that_work_and_part_the_time(small_model: TorchModel) -> None:
    seconds = {op.name: 1.0 for op in small_model.graph.ops}
    kinds = [op.kind for op in small_model.graph.ops]
    (position,) = anchor_positions(seconds, small_model.graph, 1)
    assert kinds[position] == "linear"


def test_both_halves_of_an_anchor_sum_to_about_the_whole(small_model: TorchModel) -> None:
    (position,) = anchor_positions({op.name: 1.0 for op in small_model.graph.ops}, small_model.graph, 1)
    prefix, suffix = measure_anchors(small_model, EagerEngine(), (position,), 1.0, budget_s=0.2)
    assert (prefix.segment, suffix.segment) == ("prefix", "suffix")
    assert prefix.leading_ops == suffix.leading_ops == position
    assert 0.5 < prefix.time.seconds + suffix.time.seconds < 3.0  # in terms of a whole that takes one second
