"""Measuring a model within a budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.measure.anchors import anchor_positions, measure_anchors
from nodes.measure.device_profile import measure_device
from nodes.measure.model_session import measure_model_within
from partitioner.batch_law import batch_law
from partitioner.measurements import Footprint, Measurement, SegmentTime
from partitioner.onnx_model import OnnxModel
from partitioner.profiles import DeviceProfile
from partitioner.program import TensorType
from partitioner.spec import InputSpec, Interface, OutputSpec
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


def test_a_model_measured_again_forgets_what_the_session_before_left_out(
    device: DeviceProfile, small_model: TorchModel
) -> None:
    before = replace(
        device, provenance=replace(device.provenance, left_out=("another: batch 2 (takes 1.0 s or more)",))
    )
    short = measure_model_within(small_model, before, EagerEngine(), budget_s=0.0)
    assert len(short.provenance.left_out) > 1
    again = measure_model_within(small_model, short, EagerEngine(), budget_s=60.0)
    assert again.provenance.left_out == before.provenance.left_out


def test_a_model_measured_again_keeps_no_time_that_is_now_left_out(
    device: DeviceProfile, small_model: TorchModel
) -> None:
    digest, count = small_model.digest, len(small_model.graph.ops)
    old = Measurement(1.0, 0.0, 5)
    whole = SegmentTime(digest, "prefix", "0" * 16, "eager", 64, old, count)
    cut = SegmentTime(digest, "prefix", "1" * 16, "eager", 1, old)
    known = device.with_segment_times(whole, cut).with_footprints(Footprint(digest, "eager", 1, 1.0, 1, 1))
    again = measure_model_within(small_model, known, EagerEngine(), budget_s=0.0)
    assert again.segment_times == (cut,)  # of a plan's cut: no part of a session
    assert again.footprints == ()


def test_the_largest_batch_is_measured_whatever_it_is(device: DeviceProfile, small_model: TorchModel) -> None:
    interface = replace(small_model.interface, max_batch=6)
    known = measure_model_within(replace(small_model, interface=interface), device, EagerEngine(), budget_s=60.0)
    assert sorted({time.batch for time in known.segment_times}) == [1, 2, 4, 6]


def test_activations_that_nobody_sees_are_none(device: DeviceProfile, small_model: TorchModel) -> None:
    values = {name: TensorType(info.dtype, info.shape) for name, info in small_model.graph.tensors.items()}
    nodes = [onnx.helper.make_node("Relu", ["x"], ["y"], "relu")]
    outside = [onnx.ValueInfoProto(name=name) for name in ("x", "y")]
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "model", outside[:1], outside[1:]),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=9,
    )
    interface = Interface("relu", (InputSpec("x"),), (OutputSpec("y"),), max_batch=2)
    model = OnnxModel(proto, {}, dict.fromkeys(("x", "y"), values["x"]), interface)
    known = measure_model_within(model, device, EagerEngine(), budget_s=1.0)
    assert known.footprints[0].peak_activation_bytes is None


def test_an_engine_whose_memory_nobody_sees_says_none(device: DeviceProfile, small_model: TorchModel) -> None:
    known = measure_model_within(small_model, device, engine_for("onnxruntime"), budget_s=60.0)
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
    assert 0.3 < prefix.time.seconds + suffix.time.seconds < 6.0  # in terms of a whole that takes one second


def test_an_engine_other_than_eager_is_compared_with_it(device: DeviceProfile, small_model: TorchModel) -> None:
    known = measure_model_within(small_model, device, engine_for("onnxruntime"), budget_s=60.0)
    assert 0 < known.engine_differences[small_model.digest].max_abs < 1e-5
    assert DeviceProfile.from_json(known.to_json()) == known
    assert measure_model_within(small_model, device, EagerEngine(), budget_s=1.0).engine_differences == {}


@pytest.mark.slow
def test_compiling_counts_against_the_budget_and_is_told(
    device: DeviceProfile, small_model: TorchModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    known = measure_model_within(small_model, replace(device, engine="aot"), engine_for("aot"), budget_s=2.0)
    (footprint,) = known.footprints
    assert footprint.compile_s > 2.0
    assert any("both halves" in one for one in known.provenance.left_out)
    assert all(times.whole.seconds > 0 for times in known.op_times_of(small_model.digest))
    again = measure_model_within(small_model, replace(device, engine="aot"), engine_for("aot"), budget_s=2.0)
    assert again.footprints[0].compile_s == footprint.compile_s  # it was kept
    assert again.footprints[0].load_s < footprint.compile_s / 2
