"""Measuring a model within a budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.measure import model_session
from nodes.measure.anchors import anchor_positions, measure_anchors, measure_halves
from nodes.measure.device_profile import measure_device
from nodes.measure.frontier_cuts import untimed_cuts
from nodes.measure.model_session import batch_time, measure_model_within
from partitioner.batch_law import batch_law
from partitioner.front_end import model_from_module
from partitioner.measurements import Footprint, Measurement, SegmentTime, digest_of_ops
from partitioner.model import Model
from partitioner.onnx_model import OnnxModel
from partitioner.profiles import DeviceProfile
from partitioner.program import TensorType
from partitioner.scaled_profile import scaled_profile
from partitioner.spec import InputSpec, Interface, ModelSpec, OutputSpec
from partitioner.torch_model import TorchModel


@pytest.fixture(scope="module")
def device() -> DeviceProfile:
    return measure_device(0.2, EagerEngine())


def test_a_large_budget_leaves_nothing_out(device: DeviceProfile, small_model: TorchModel) -> None:
    known = measure_model_within(small_model, device, EagerEngine(), budget_s=60.0)
    assert known.provenance.left_out == ()
    assert known.footprints[0].peak_activation_bytes
    assert known.footprints[0].load_spread_s is not None
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
    another = replace(cut, model_digest="another")
    known = device.with_segment_times(whole, cut, another).with_footprints(Footprint(digest, "eager", 1, 1.0, 1, 1))
    again = measure_model_within(small_model, known, EagerEngine(), budget_s=0.0)
    assert again.segment_times == (another,)
    assert again.footprints == ()


@pytest.fixture(scope="module")
def narrowing() -> TorchModel:
    """The first convolution leaves a twentieth of its input to those that take the time: cutting there always pays."""
    layers = [nn.Conv2d(3, 8, 3, 8, 1), nn.ReLU(), nn.Conv2d(8, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1)]
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 5)).eval()
    model = model_from_module(ModelSpec(module, (torch.zeros(2, 3, 32, 32),), name="narrowing"))
    return replace(model, interface=replace(model.interface, max_batch=2))


def _cuts(known: DeviceProfile) -> set[str]:
    """Of those timed for their own sake, whose two halves are there."""
    halves = [one for one in known.segment_times if one.leading_ops is None]
    return {one.edge_ops_digest for one in halves if one.segment == "suffix"} & {
        one.edge_ops_digest for one in halves if one.segment == "prefix"
    }


def test_the_frontier_with_the_other_side_is_timed_too(
    device: DeviceProfile, narrowing: TorchModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list[tuple[str, ...]]()

    def watched(model: Model, mine: DeviceProfile, other: DeviceProfile) -> tuple[tuple[str, ...], ...]:
        found.extend(untimed_cuts(model, mine, other))
        return tuple(found)

    monkeypatch.setattr(model_session, "untimed_cuts", watched)
    other = scaled_profile(device, name="cloud", flops_per_s=1e15, memory_bytes_per_s=1e15)
    known = measure_model_within(narrowing, device, EagerEngine(), 60.0, other)
    assert found
    assert _cuts(known) == {digest_of_ops(cut) for cut in found}
    assert all(known.segment_time(narrowing.digest, "suffix", cut, 1).seconds > 0 for cut in found)
    assert known.provenance.left_out == ()


def test_an_anchor_at_a_cut_of_the_frontier_is_timed_for_its_own_sake_too(
    device: DeviceProfile, narrowing: TorchModel
) -> None:
    slow = replace(device, op_overhead_s=1.0)  # by the op, so that what codecs take decides nothing
    other = replace(device, op_overhead_s=1e-9)
    cut, *_ = untimed_cuts(narrowing, slow, other)
    half = SegmentTime(narrowing.digest, "prefix", digest_of_ops(cut), "eager", 1, Measurement(1.0, 0.0, 5))
    anchored = slow.with_segment_times(replace(half, leading_ops=len(cut)))
    assert cut in untimed_cuts(narrowing, anchored, other)
    assert cut not in untimed_cuts(narrowing, slow.with_segment_times(half), other)


def test_cuts_of_the_frontier_that_the_budget_leaves_out_are_named(
    device: DeviceProfile, small_model: TorchModel
) -> None:
    other = scaled_profile(device, name="cloud", flops_per_s=1e15, memory_bytes_per_s=1e15)
    known = measure_model_within(small_model, device, EagerEngine(), 0.0, other)
    assert _cuts(known) == set()
    named = [line.split(" (takes")[0] for line in known.provenance.left_out]
    assert named.index("small: both halves at the frontier's cuts") < named.index("small: batch 2")


def test_times_at_the_frontier_leave_those_of_the_ops_alone(device: DeviceProfile, small_model: TorchModel) -> None:
    known = measure_model_within(small_model, device, EagerEngine(), budget_s=0.0)
    cut = [op.name for op in small_model.graph.ops[:2]]
    more = known.with_segment_times(*measure_halves(small_model, EagerEngine(), cut, 1.0, budget_s=0.0))
    ops = (small_model.graph, small_model.digest, 1)
    assert more.op_seconds(*ops) == known.op_seconds(*ops)


def test_the_largest_batch_is_measured_whatever_it_is(device: DeviceProfile, small_model: TorchModel) -> None:
    interface = replace(small_model.interface, max_batch=6)
    known = measure_model_within(replace(small_model, interface=interface), device, EagerEngine(), budget_s=60.0)
    assert sorted({time.batch for time in known.segment_times}) == [1, 2, 4, 6]


def test_a_batch_is_timed_by_its_ratio_to_single_items(small_model: TorchModel) -> None:
    """Which took ten seconds when they were measured, on a machine that has become quicker."""
    found = batch_time(small_model, EagerEngine(), 4, 10.0)
    assert 2.0 < found.time.seconds < 80.0
    assert (found.batch, found.leading_ops) == (4, len(small_model.graph.ops))


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
    eager = measure_model_within(small_model, device, EagerEngine(), budget_s=2.0).footprints[0]
    assert footprint.peak_activation_bytes is not None
    assert eager.peak_activation_bytes is not None
    assert 0.5 < footprint.peak_activation_bytes / eager.peak_activation_bytes < 4
    assert any("both halves" in one for one in known.provenance.left_out)
    assert all(times.whole.seconds > 0 for times in known.op_times_of(small_model.digest))
    again = measure_model_within(small_model, replace(device, engine="aot"), engine_for("aot"), budget_s=2.0)
    assert again.footprints[0].compile_s == footprint.compile_s  # it was kept
    assert again.footprints[0].load_s < footprint.compile_s / 2
