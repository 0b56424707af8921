"""Plans with the times of whole segments in place of op times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isthmus.errors import InvalidProfile
from partitioner.condition import Condition
from partitioner.cost_model import Costing
from partitioner.link import Link
from partitioner.measured_plan import measured_plan
from partitioner.measurements import Measurement, SegmentTime, digest_of_ops
from partitioner.partition import plan_for_cut
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from tests.partitioner.planning.conftest import PlainModel

CUT = ("stem", "body")
CONDITION = Condition(Link.of("20mbps", "2ms"))


def _knowing(device: DeviceProfile, model: PlainModel, half: str, seconds: float) -> DeviceProfile:
    ops = {"whole": tuple(op.name for op in model.graph.ops), "none": ()}.get(half, CUT)
    segment = "suffix" if half in ("suffix", "none") else "prefix"
    time = Measurement(seconds, seconds / 10, 5)
    return device.with_segment_times(
        SegmentTime(model.digest, segment, digest_of_ops(ops), device.engine, 1, time)  # type: ignore[arg-type]
    )


@pytest.fixture
def measured(model: PlainModel, setting: Setting) -> Setting:
    edge = _knowing(_knowing(setting.edge, model, "prefix", 0.030), model, "whole", 0.2)
    cloud = _knowing(_knowing(setting.cloud, model, "suffix", 0.007), model, "none", 0.01)
    return replace(setting, edge=edge, cloud=cloud)


def test_the_segments_stand_in_for_the_ops_and_all_else_stays(model: PlainModel, measured: Setting) -> None:
    found = measured_plan(model, measured, CUT, {"narrow": "raw"})
    assert found.costs.edge_s == pytest.approx(0.030 + 1e-5 + 8e-6 + 1e-5 + 4e-6)  # encode 8 kB, decode 4 kB
    assert found.costs.cloud_s == pytest.approx(0.007 + 1e-5 + 8e-6 + 1e-5 + 4e-6)
    assert (found.costs.uplink_bytes, found.costs.downlink_bytes) == (8000, 3600)  # zstd back


def test_it_is_the_plan_for_that_cut(model: PlainModel, measured: Setting) -> None:
    found = measured_plan(model, measured, CUT, {"narrow": "zstd"})
    assert found.plan == plan_for_cut(model, measured, CUT, {"narrow": "zstd"})


def test_the_round_trip_is_paid_by_all_but_edge_only(model: PlainModel, measured: Setting) -> None:
    edge_only, split = (measured_plan(model, measured, ops) for ops in ([op.name for op in model.graph.ops], CUT))
    slow = replace(CONDITION, link=replace(CONDITION.link, rtt_s=1.002))
    assert edge_only.total_s(slow) == edge_only.total_s(CONDITION) == pytest.approx(0.2)
    assert split.total_s(slow) == pytest.approx(split.total_s(CONDITION) + 1.0)


def test_the_spreads_are_those_of_the_segments(model: PlainModel, measured: Setting) -> None:
    split = measured_plan(model, measured, CUT)
    assert (split.edge_spread_s, split.cloud_spread_s) == pytest.approx((0.003, 0.0007))


def test_a_file_is_decoded_on_the_side_that_gets_it(model: PlainModel, measured: Setting) -> None:
    as_bytes = replace(measured, costing=Costing("bytes"))
    here, there = (measured_plan(model, as_bytes, (), {"image": codec}) for codec in ("raw", "file"))
    decoding_s = 1e-8 * 640 * 480
    assert there.costs.cloud_s == pytest.approx(0.01 + decoding_s + 1e-5 + 4e-6)
    assert here.costs.edge_s - there.costs.edge_s == pytest.approx(decoding_s + 1e-5 + 1e-9 * 4 * 150_528)


def test_a_cut_that_was_not_measured_is_refused(model: PlainModel, measured: Setting) -> None:
    with pytest.raises(InvalidProfile, match="no prefix of that cut"):
        measured_plan(model, measured, ("stem",))
