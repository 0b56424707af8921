"""Predictions of plans whose halves were measured whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from partitioner.cost_model import Costing
from partitioner.measurements import Half, Measurement, SegmentTime, digest_of_ops
from partitioner.partition import partition_graph, plan_for_cut
from partitioner.plan import Prediction
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from tests.partitioner.planning.conftest import PlainModel

CUT = ("stem", "body")


def timed(device: DeviceProfile, model: PlainModel, half: Half, seconds: float) -> DeviceProfile:
    key = (digest_of_ops(CUT), device.engine, 1)
    return device.with_segment_times(SegmentTime(model.digest, half, *key, Measurement(seconds, 0.0, 5)))


def predicted(model: PlainModel, setting: Setting, cut: tuple[str, ...] = CUT) -> Prediction:
    found = plan_for_cut(model, setting, cut).predicted
    assert found is not None
    return found


@pytest.fixture
def known(model: PlainModel, setting: Setting) -> Setting:
    """A prefix of 3 s on the edge, a suffix of 5 s in the cloud."""
    edge, cloud = timed(setting.edge, model, "prefix", 3.0), timed(setting.cloud, model, "suffix", 5.0)
    return replace(setting, edge=edge, cloud=cloud)


def ops_s(device: DeviceProfile, model: PlainModel, *names: str) -> float:
    seconds = device.op_seconds(model.graph, model.digest, 1)
    return sum(seconds[name] for name in names)


def test_a_plan_takes_what_its_halves_took(model: PlainModel, setting: Setting, known: Setting) -> None:
    sums, whole = predicted(model, setting), predicted(model, known)
    assert whole.edge_s - 3.0 == pytest.approx(sums.edge_s - ops_s(setting.edge, model, *CUT))
    assert whole.cloud_s - 5.0 == pytest.approx(sums.cloud_s - ops_s(setting.cloud, model, "grow", "head"))
    assert (whole.uplink_s, whole.downlink_s) == (sums.uplink_s, sums.downlink_s)


def test_a_half_that_was_not_measured_stays_the_sum_of_its_ops(
    model: PlainModel, setting: Setting, known: Setting
) -> None:
    assert predicted(model, replace(known, cloud=setting.cloud)).cloud_s == predicted(model, setting).cloud_s
    assert predicted(model, known, ("stem",)) == predicted(model, setting, ("stem",))


def test_an_anchor_is_in_the_times_of_the_ops_already(model: PlainModel, setting: Setting, known: Setting) -> None:
    anchors = tuple(replace(one, leading_ops=len(CUT)) for one in known.edge.segment_times)
    edge = replace(setting.edge, segment_times=anchors)
    assert predicted(model, replace(setting, edge=edge)).edge_s == predicted(model, setting).edge_s


def test_a_cut_may_be_an_anchor_and_timed_for_its_own_sake(model: PlainModel, setting: Setting, known: Setting) -> None:
    anchors = (replace(one, leading_ops=len(CUT), time=one.time.scaled(9.0)) for one in known.edge.segment_times)
    both = replace(known, edge=known.edge.with_segment_times(*anchors))
    assert predicted(model, both) == predicted(model, known)
    assert both.edge.segment_time(model.digest, "prefix", CUT, 1).seconds == 3.0


def test_loads_are_on_measured_halves_too(model: PlainModel, known: Setting) -> None:
    loaded = replace(known, costing=Costing(edge_load=2.0, cloud_load=3.0))
    idle, busy = predicted(model, known), predicted(model, loaded)
    assert busy.edge_s == pytest.approx(2.0 * idle.edge_s)
    assert busy.cloud_s == pytest.approx(3.0 * idle.cloud_s)


def test_another_batch_is_another_time(model: PlainModel, setting: Setting, known: Setting) -> None:
    two = Costing(batch=2)
    assert predicted(model, replace(known, costing=two)) == predicted(model, replace(setting, costing=two))


def test_preprocessing_is_beside_the_measured_prefix(model: PlainModel, setting: Setting, known: Setting) -> None:
    pictures = Costing(form="bytes")
    whole, sums = (predicted(model, replace(one, costing=pictures)) for one in (known, setting))
    assert whole.edge_s - 3.0 == pytest.approx(sums.edge_s - ops_s(setting.edge, model, *CUT))


def test_the_plan_says_that_its_halves_were_measured(model: PlainModel, setting: Setting, known: Setting) -> None:
    assert plan_for_cut(model, known, CUT).provenance["halves"].startswith("prefix and suffix predicted as measured")
    assert "halves" not in partition_graph(model, setting).provenance
