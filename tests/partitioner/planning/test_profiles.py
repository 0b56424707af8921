"""Device profiles: op times measured or estimated, and reading them back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidProfile
from partitioner.measurements import AffineTime, CodecRate, Measurement, OpTimes, SegmentTime, Taken, digest_of_ops
from partitioner.profiles import DeviceProfile
from tests.partitioner.planning.conftest import FLOATS

_SECONDS = st.floats(0, 1e3)
_MEASUREMENTS = st.builds(Measurement, _SECONDS, _SECONDS, st.integers(1, 99))
_TEXT = st.text(max_size=6)
_OP_TIMES = st.builds(
    OpTimes, _TEXT, _TEXT, st.integers(1, 8), st.integers(1, 8), st.dictionaries(_TEXT, _MEASUREMENTS), _MEASUREMENTS
)
_SEGMENTS = st.builds(
    SegmentTime, _TEXT, st.sampled_from(["prefix", "suffix"]), _TEXT, _TEXT, st.integers(1, 8), _MEASUREMENTS
)
_RATES = st.dictionaries(_TEXT, st.builds(CodecRate, _SECONDS, _SECONDS, _SECONDS, _SECONDS))


def _profile(edge: DeviceProfile, **change: Any) -> DeviceProfile:
    return replace(edge, **change)


@pytest.fixture(scope="module")
def base() -> DeviceProfile:
    text = {"measured_at": "now", "host": "h", "torch_version": "2", "load": 0.1, "noisy": False, "allocator": "glibc"}
    data = {
        "device": "cpu",
        "name": "n",
        "threads": 1,
        "slowdown": 1.0,
        "flops_per_s": {"float32": 1e9},
        "memory_bytes_per_s": 1e9,
        "op_overhead_s": 0.0,
        "codec_rates": {},
        "provenance": text,
    }
    return DeviceProfile.from_json(json.dumps(data))


@given(ops=st.lists(_OP_TIMES, max_size=2), segments=st.lists(_SEGMENTS, max_size=2), rates=_RATES)
def test_json_reads_back_equal(
    base: DeviceProfile, ops: list[OpTimes], segments: list[SegmentTime], rates: dict[str, CodecRate]
) -> None:
    profile = replace(base, codec_rates=rates).with_op_times(*ops).with_segment_times(*segments)
    assert DeviceProfile.from_json(profile.to_json()) == profile


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"device": "abacus"}'])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(InvalidProfile):
        DeviceProfile.from_json(text)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1.0", '"fast"'])
def test_a_rate_that_is_none_is_refused_by_name(edge: DeviceProfile, value: str) -> None:
    text = edge.to_json().replace('"memory_bytes_per_s": 10000000000.0', f'"memory_bytes_per_s": {value}')
    with pytest.raises(InvalidProfile, match="memory_bytes_per_s") as refused:
        DeviceProfile.from_json(text)
    assert value != '"fast"' or str(refused.value).endswith("(got 'fast')")


@pytest.mark.parametrize(
    "change", [{"slowdown": 0.5}, {"threads": 0}, {"flops_per_s": {}}, {"op_overhead_s": math.nan}]
)
def test_impossible_devices_are_refused(edge: DeviceProfile, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidProfile):
        _profile(edge, **change)


def test_without_measurements_the_roofline_answers(edge: DeviceProfile, model: Any) -> None:
    seconds = edge.op_seconds(model.graph, model.digest, 1)
    assert seconds["grow"] == pytest.approx(200e6 / 1e10 + 1e-6)


def test_the_roofline_is_bound_by_memory_where_arithmetic_is_cheap(edge: DeviceProfile, model: Any) -> None:
    slow_memory = _profile(edge, memory_bytes_per_s=1e6)
    assert slow_memory.op_seconds(model.graph, model.digest, 1)["grow"] == pytest.approx(25_000 / 1e6 + 1e-6)


@pytest.mark.parametrize(
    ("peaks", "stem_s"),
    [
        ({"convolution float32": 1e10, "depthwise float32": 1e9}, 10e6 / 1e9),
        ({"convolution float32": 5e9}, 10e6 / 5e9),  # as profiles were before depthwise convolutions were told apart
    ],
)
def test_a_depthwise_convolution_has_a_peak_of_its_own(
    edge: DeviceProfile, model: Any, peaks: dict[str, float], stem_s: float
) -> None:
    stem, *others = model.graph.ops
    graph = replace(model.graph, ops=(replace(stem, groups=FLOATS["image"]), *others))
    seconds = _profile(edge, kind_flops_per_s=peaks).op_seconds(graph, model.digest, 1)
    assert seconds["stem"] == pytest.approx(stem_s + 1e-6)
    assert seconds["body"] == pytest.approx(40e6 / peaks["convolution float32"] + 1e-6)


def test_measured_op_times_are_scaled_to_the_whole_run(edge: DeviceProfile, model: Any, op_times: OpTimes) -> None:
    seconds = edge.with_op_times(op_times).op_seconds(model.graph, model.digest, 1)
    assert seconds == dict.fromkeys(seconds, 0.5)


def test_measured_times_are_scaled_to_another_batch(edge: DeviceProfile, model: Any, op_times: OpTimes) -> None:
    seconds = edge.with_op_times(op_times).op_seconds(model.graph, model.digest, 4)
    assert seconds["grow"] == pytest.approx(2.0, rel=1e-3)


def test_an_op_without_a_measurement_is_estimated(edge: DeviceProfile, model: Any, op_times: OpTimes) -> None:
    partial = replace(op_times, seconds={"stem": Measurement(2.0, 0.0, 9)})
    seconds = edge.with_op_times(partial).op_seconds(model.graph, model.digest, 1)
    assert list(map(seconds.__getitem__, ("stem", "grow"))) == pytest.approx([2.0, 0.020001])


def test_times_of_another_model_do_not_count(edge: DeviceProfile, model: Any, op_times: OpTimes) -> None:
    known = edge.with_op_times(op_times)
    assert known.has_op_times(model.digest)
    assert known.op_seconds(model.graph, "other", 1) == edge.op_seconds(model.graph, "other", 1)


def test_a_new_measurement_replaces_the_old_one(edge: DeviceProfile, op_times: OpTimes) -> None:
    newer = replace(op_times, whole=Measurement(9.0, 0.0, 9))
    assert edge.with_op_times(op_times).with_op_times(newer).op_times == (newer,)


def test_affine_times_and_rates() -> None:
    assert AffineTime(1.0, 2.0).at(3) == 7.0
    rate = CodecRate(1.0, 10.0, 2.0, 20.0)
    assert (rate.encode_s(5), rate.decode_s(5)) == (15.0, 30.0)


def test_a_set_of_ops_has_one_digest_in_any_order() -> None:
    assert digest_of_ops(["a", "b"]) == digest_of_ops(["b", "a"]) != digest_of_ops(["ab"])


def test_a_model_is_of_the_day_it_was_measured(edge: DeviceProfile) -> None:
    later = Taken("2026-02-03T10:00:00Z", "elsewhere")
    known = edge.with_session("a", later)
    assert (known.taken("a"), known.taken("b")) == (later, edge.provenance.taken)  # b: as files were before
    assert (known.taken_apart("a"), known.taken_apart("b")) == (later, None)
    assert DeviceProfile.from_json(known.to_json()) == known


def test_a_model_of_the_devices_day_and_host_was_not_measured_apart(edge: DeviceProfile) -> None:
    same = replace(edge.provenance.taken, measured_at="2026-01-01T23:00:00Z")
    assert edge.with_session("a", same).taken_apart("a") is None
    assert edge.with_session("a", replace(same, host="elsewhere")).taken_apart("a") is not None


def test_noise_is_of_the_model_it_was_heard_with(edge: DeviceProfile) -> None:
    noisy = Taken("2026-02-03T10:00:00Z", "elsewhere", noisy=True)
    known = edge.with_session("a", noisy)
    assert (known.is_noisy("a"), known.is_noisy("b")) == (True, False)
    again = known.with_session("a", replace(noisy, noisy=False))
    assert not again.is_noisy("a")
    device = replace(edge, provenance=replace(edge.provenance, noisy=True))
    assert device.is_noisy("a")


def test_a_session_that_is_forgotten_takes_its_day_along(edge: DeviceProfile) -> None:
    later = Taken("2026-02-03T10:00:00Z", "elsewhere")
    known = edge.with_session("a", later).with_session("b", later)
    assert dict(known.without_session("a").sessions) == {"b": later}


def test_ops_grow_with_the_batch_as_the_whole_model_was_measured_to(
    edge: DeviceProfile, model: Any, op_times: OpTimes
) -> None:
    one_s, count = op_times.whole.seconds, len(model.graph.ops)
    known = edge.with_op_times(op_times)

    def whole(batch: int, seconds: float) -> SegmentTime:
        order = [op.name for op in model.graph.ops]
        taken = Measurement(seconds, 0.0, 5)
        return SegmentTime(model.digest, "prefix", digest_of_ops(order), "eager", batch, taken, count)

    batched = known.with_segment_times(whole(2, 1.5 * one_s), whole(4, 2.5 * one_s))

    def total_s(batch: int) -> float:
        return sum(batched.op_seconds(model.graph, model.digest, batch).values())

    assert total_s(1) == pytest.approx(one_s)
    assert total_s(2) == pytest.approx(1.5 * one_s)
    assert total_s(8) == pytest.approx(4.5 * one_s)  # on the line through the three
    by_roofline = known.op_seconds(model.graph, model.digest, 2)
    shares = [batched.op_seconds(model.graph, model.digest, 2)[name] / took for name, took in by_roofline.items()]
    assert shares == pytest.approx([shares[0]] * count)
