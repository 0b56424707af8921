"""Op times scaled to what whole segments take."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioner.measurements import Measurement, OpTimes, SegmentTime, digest_of_ops
from partitioner.op_calibration import Anchor, calibrated
from partitioner.profiles import DeviceProfile
from tests.partitioner.planning.conftest import PlainModel

TIMES = st.lists(st.floats(0.01, 0.05), min_size=2, max_size=12)


def named(times: list[float]) -> dict[str, float]:
    return {f"op{number}": seconds for number, seconds in enumerate(times)}


def test_without_anchors_nothing_changes() -> None:
    assert calibrated({"a": 1.0}, ["a"], ()) == {"a": 1.0}


@given(TIMES, st.data())
def test_true_times_stay_and_true_halves_correct_wrong_ones(times: list[float], data: st.DataObject) -> None:
    """An anchor of the true halves, whatever the ops were believed to take, makes the halves' predictions true."""
    true, order = named(times), list(named(times))
    at = data.draw(st.integers(1, len(order) - 1))
    half_s = math.fsum(true[name] for name in order[:at])
    whole_s = math.fsum(true.values())
    anchor = Anchor(at, half_s, whole_s - half_s)
    wrong = data.draw(st.lists(st.floats(0.5, 2.0), min_size=len(order), max_size=len(order)))
    believed = {name: seconds * factor for (name, seconds), factor in zip(true.items(), wrong, strict=True)}
    scale = whole_s / math.fsum(believed.values())
    believed = {name: seconds * scale for name, seconds in believed.items()}
    corrected = calibrated(believed, order, (anchor,))
    assert math.fsum(corrected[name] for name in order[:at]) == pytest.approx(half_s)
    assert calibrated(true, order, (anchor,)) == pytest.approx(true)


@given(TIMES, st.lists(st.tuples(st.integers(1, 11), st.floats(0, 1), st.floats(0, 1)), max_size=4))
def test_whatever_the_anchors_say_the_sum_is_that_of_the_whole(
    times: list[float], said: list[tuple[int, float, float]]
) -> None:
    seconds = named(times)
    positions = {at: Anchor(at, prefix, suffix) for at, prefix, suffix in said if at < len(times)}
    found = calibrated(seconds, list(seconds), tuple(positions[at] for at in sorted(positions)))
    assert math.fsum(found.values()) == pytest.approx(math.fsum(seconds.values()))
    assert all(value >= 0 for value in found.values())


def test_a_profile_uses_the_anchors_of_its_own_model_and_engine(model: PlainModel, edge: DeviceProfile) -> None:
    one = Measurement(0.01, 0.0, 5)
    ops = OpTimes(model.digest, "eager", 1, 1, {op.name: one for op in model.graph.ops}, Measurement(0.04, 0.0, 5))
    digest = digest_of_ops(["stem"])
    halves = [
        SegmentTime(model.digest, "prefix", digest, "eager", 1, Measurement(0.02, 0.0, 5), 1),
        SegmentTime(model.digest, "suffix", digest, "eager", 1, Measurement(0.02, 0.0, 5), 1),
    ]
    known = edge.with_op_times(ops).with_segment_times(*halves)
    assert known.op_seconds(model.graph, model.digest, 1)["stem"] == pytest.approx(0.02)
    others = [replace(half, engine="onnxruntime") for half in halves]
    unknown = edge.with_op_times(ops).with_segment_times(*others)
    assert unknown.op_seconds(model.graph, model.digest, 1)["stem"] == pytest.approx(0.01)
