"""Profiles of hardware that nobody measured."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from isthmus.errors import InvalidInput
from partitioner.measurements import Measurement, OpTimes, Power, Price, SegmentTime, Taken
from partitioner.partition import partition_graph
from partitioner.profiles import DeviceProfile
from partitioner.scaled_profile import scaled_profile, slowed_profile
from partitioner.setting import Setting
from tests.partitioner.planning.conftest import PlainModel


def scaled(profile: DeviceProfile, flops: float = 1.0, memory: float = 1.0, *models: PlainModel) -> DeviceProfile:
    return scaled_profile(
        profile,
        name="planned",
        flops_per_s=profile.flops_per_s["float32"] * flops,
        memory_bytes_per_s=profile.memory_bytes_per_s * memory,
        models=models,
    )


def measured(profile: DeviceProfile, model: PlainModel) -> DeviceProfile:
    guessed = profile.op_seconds(model.graph, model.digest, 1)
    times = {name: Measurement(2 * seconds, 0.0, 5) for name, seconds in guessed.items()}
    whole = Measurement(2 * math.fsum(guessed.values()), 0.0, 5)
    return profile.with_op_times(OpTimes(model.digest, "eager", 1, 1, times, whole))


def test_it_says_what_it_is(edge: DeviceProfile) -> None:
    planned = scaled(edge, 10.0)
    assert planned.name == "planned"
    assert edge.name in planned.provenance.scaled_from
    assert DeviceProfile.from_json(planned.to_json()) == planned


def test_it_says_when_what_it_was_scaled_from_was_measured(edge: DeviceProfile, model: PlainModel) -> None:
    later = Taken("2026-02-03T10:00:00Z", "elsewhere")
    planned = scaled(measured(edge, model).with_session(model.digest, later), 2.0, 2.0, model)
    assert planned.taken(model.digest) == later
    assert planned.op_times_are(model.digest).startswith("op times scaled from")


def test_twice_as_fast_in_everything_is_half_the_time(edge: DeviceProfile, model: PlainModel) -> None:
    known = measured(edge, model)
    before = known.op_seconds(model.graph, model.digest, 1)
    after = scaled(known, 2.0, 2.0, model).op_seconds(model.graph, model.digest, 1)
    assert after == pytest.approx({name: seconds / 2 for name, seconds in before.items()})


@pytest.mark.parametrize(("peak", "longer"), [(0.25, 4.0), (4.0, 1.0)])
def test_codecs_and_preprocessing_slow_down_with_the_arithmetic_and_never_speed_up(
    edge: DeviceProfile, peak: float, longer: float
) -> None:
    planned = scaled(edge, peak, 1.0)
    rates = {codec: rate.scaled(longer) for codec, rate in edge.codec_rates.items()}
    assert rates
    assert planned.codec_rates == rates
    assert planned.preprocessing_s_per_pixel == pytest.approx(edge.preprocessing_s_per_pixel * longer)


def test_times_of_whole_segments_are_not_carried_over(edge: DeviceProfile, model: PlainModel) -> None:
    segment = SegmentTime(model.digest, "prefix", "ops", "eager", 1, Measurement(0.01, 0.0, 5), 1)
    known = replace(measured(edge, model), segment_times=(segment,))
    assert scaled(known, 2.0, 2.0, model).segment_times == ()


def test_power_and_price_of_other_hardware_are_left_behind(edge: DeviceProfile) -> None:
    declared = replace(edge, power=Power(5.0, 1.0, 2.0, "declared"), price=Price(0.001, "declared"))
    planned = scaled(declared, 2.0, 2.0)
    assert (planned.power, planned.price) == (None, None)


def test_an_op_bound_by_memory_gains_nothing_from_arithmetic(edge: DeviceProfile, model: PlainModel) -> None:
    slow_memory = scaled_profile(edge, name="x", flops_per_s=1e10, memory_bytes_per_s=1e6)
    known = measured(slow_memory, model)
    before = known.op_seconds(model.graph, model.digest, 1)["body"]
    assert scaled(known, 100.0, 1.0, model).op_seconds(model.graph, model.digest, 1)["body"] == pytest.approx(
        before, rel=0.01
    )


def test_a_model_that_was_not_given_falls_back_to_the_roofline(edge: DeviceProfile, model: PlainModel) -> None:
    planned = scaled(measured(edge, model), 2.0, 2.0)
    assert not planned.has_op_times(model.digest)


def test_plans_say_that_its_times_are_scaled(edge: DeviceProfile, model: PlainModel) -> None:
    planned = scaled(measured(edge, model), 2.0, 2.0, model)
    assert edge.name in planned.op_times_are(model.digest)
    guessed = scaled(edge)
    assert guessed.op_times_are(model.digest) == f"roofline scaled from {guessed.provenance.scaled_from}"
    assert edge.op_times_are(model.digest) == "roofline"


def test_plans_say_that_its_roofline_is_scaled(model: PlainModel, setting: Setting) -> None:
    planned = scaled(setting.edge, 2.0)
    said = partition_graph(model, replace(setting, edge=planned)).provenance["edge"]
    assert said.startswith(f"planned: roofline scaled from {setting.edge.name}, to ")


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused_by_name(edge: DeviceProfile, rate: float) -> None:
    with pytest.raises(InvalidInput, match="flops_per_s"):
        scaled_profile(edge, name="x", flops_per_s=rate, memory_bytes_per_s=1e9)
    with pytest.raises(InvalidInput, match="memory_bytes_per_s"):
        scaled_profile(edge, name="x", flops_per_s=1e9, memory_bytes_per_s=rate)


def test_an_emulated_device_takes_so_many_times_as_long_for_everything(edge: DeviceProfile, model: PlainModel) -> None:
    known = replace(measured(edge, model), preprocessing_fixed_s=1e-3, preprocessing_s_per_pixel=1e-9)
    slowed = slowed_profile(known, 4.0)
    times = known.op_seconds(model.graph, model.digest, 1), slowed.op_seconds(model.graph, model.digest, 1)
    assert times[1] == pytest.approx({name: 4 * seconds for name, seconds in times[0].items()})
    assert slowed.memory_bytes_per_s == known.memory_bytes_per_s / 4
    assert slowed.codec_rates == {name: rate.scaled(4.0) for name, rate in known.codec_rates.items()}
    assert slowed.op_overhead_s == 4 * known.op_overhead_s
    assert slowed.preprocessing_fixed_s == 4 * known.preprocessing_fixed_s
    assert slowed.preprocessing_s_per_pixel == 4 * known.preprocessing_s_per_pixel
    assert slowed.flops_per_s == {dtype: flops / 4 for dtype, flops in known.flops_per_s.items()}
    assert slowed.kind_flops_per_s == {kind: flops / 4 for kind, flops in known.kind_flops_per_s.items()}
    assert slowed.slowdown == 4 * known.slowdown
