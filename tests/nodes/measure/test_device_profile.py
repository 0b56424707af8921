"""Device profiles of the machine that runs the tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.engines.eager import EagerEngine
from nodes.measure.device_profile import measure_device, measure_model
from nodes.measure.power import power_meter
from partitioner.model import Model
from partitioner.profiles import DeviceProfile


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    return measure_device(0.3, EagerEngine())


def test_the_numbers_are_those_of_a_computer(profile: DeviceProfile) -> None:
    assert 1e8 < profile.flops_per_s["float32"] < 1e15
    assert 1e8 < profile.memory_bytes_per_s < 1e14
    assert 1e-8 < profile.op_overhead_s < 1e-3


def test_every_kind_of_arithmetic_has_a_peak_in_every_dtype(profile: DeviceProfile) -> None:
    kinds = ("matmul", "convolution", "depthwise")
    assert set(profile.kind_flops_per_s) == {f"{kind} {dtype}" for kind in kinds for dtype in profile.flops_per_s}


def test_its_power_is_known_only_where_the_machine_tells_it(profile: DeviceProfile) -> None:
    assert profile.power is None or profile.power.measured
    if power_meter("cpu") is None:
        assert profile.power is None


def test_it_survives_json(profile: DeviceProfile) -> None:
    assert DeviceProfile.from_json(profile.to_json()) == profile


def test_provenance_says_when_where_and_under_what(profile: DeviceProfile) -> None:
    provenance = profile.provenance
    assert provenance.measured_at.endswith("+00:00")
    assert provenance.allocator in ("default", "glibc-tuned")
    assert provenance.load >= 0


def test_a_models_times_are_merged_in(profile: DeviceProfile, small_model: Model) -> None:
    merged = measure_model(small_model, profile, EagerEngine(), budget_s=0.05)
    assert not profile.has_op_times(small_model.digest)
    assert set(merged.op_seconds(small_model.graph, small_model.digest, 1)) == {op.name for op in small_model.graph.ops}
    assert merged.has_op_times(small_model.digest)


def test_a_model_says_when_it_was_measured_itself(profile: DeviceProfile, small_model: Model) -> None:
    old = replace(profile, provenance=replace(profile.provenance, measured_at="2020-01-01T00:00:00+00:00"))
    merged = measure_model(small_model, old, EagerEngine(), budget_s=0.05)
    apart = merged.taken_apart(small_model.digest)
    assert apart is not None
    assert apart.measured_at >= profile.provenance.measured_at
    assert apart.host == profile.provenance.host
    assert merged.provenance.measured_at == old.provenance.measured_at  # its rates are of that day still


def test_an_emulated_slowdown_is_in_every_rate(profile: DeviceProfile) -> None:
    slow = measure_device(0.3, EagerEngine(slowdown=1000.0))
    assert slow.slowdown == 1000.0
    assert slow.flops_per_s["float32"] < profile.flops_per_s["float32"] / 2
    assert slow.codec_rates["png"].encode_s(10**6) > 2 * profile.codec_rates["png"].encode_s(10**6)
    assert slow.preprocessing_s_per_pixel * 10**6 > 2 * profile.preprocessing_s_per_pixel * 10**6
