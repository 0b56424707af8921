"""How time grows with the batch."""

from __future__ import annotations

import pytest

from partitioner.batch_law import batch_law
from partitioner.measurements import Measurement, OpTimes, SegmentTime
from partitioner.profiles import DeviceProfile


def profile_with(edge: DeviceProfile, seconds: dict[int, float]) -> DeviceProfile:
    ops = OpTimes("m", "eager", 1, 1, {}, Measurement(seconds[1], 0.0, 5))
    wholes = [
        SegmentTime("m", "prefix", "d", "eager", batch, Measurement(took, 0.0, 5), 4)
        for batch, took in seconds.items()
        if batch > 1
    ]
    return edge.with_op_times(ops).with_segment_times(*wholes)


def test_a_line_is_found_with_no_residual(edge: DeviceProfile) -> None:
    law = batch_law(profile_with(edge, {1: 0.03, 2: 0.04, 4: 0.06, 8: 0.1}), "m", 4)
    assert law is not None
    assert law.line.fixed_s == pytest.approx(0.02)
    assert law.line.per_item_s == pytest.approx(0.01)
    assert law.residual == pytest.approx(0.0, abs=1e-9)
    assert law.gain(8) == pytest.approx(2.4)


def test_what_is_no_line_says_so(edge: DeviceProfile) -> None:
    law = batch_law(profile_with(edge, {1: 0.01, 2: 0.02, 4: 0.2}), "m", 4)
    assert law is not None
    assert law.residual > 0.2
    assert law.gain(4) < 1


def test_one_batch_is_no_law_and_halves_do_not_count(edge: DeviceProfile) -> None:
    assert batch_law(profile_with(edge, {1: 0.01}), "m", 4) is None
    half = SegmentTime("m", "prefix", "d", "eager", 2, Measurement(0.01, 0.0, 5), 2)
    assert batch_law(profile_with(edge, {1: 0.01}).with_segment_times(half), "m", 4) is None
