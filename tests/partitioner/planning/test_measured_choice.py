"""Plans chosen by what their halves were measured to take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partitioner.constraints import Constraints
from partitioner.cost_model import Costing
from partitioner.link import Link
from partitioner.measurements import Half, Measurement, Power, SegmentTime, digest_of_ops
from partitioner.partition import best_plan, partition_graph, plans_to_compare
from partitioner.plan import Plan
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from tests.partitioner.planning.conftest import PlainModel

CUT = ("stem", "body")
OBJECTIVES = ("latency", "energy", "latency+0.5*energy")


def timed(device: DeviceProfile, model: PlainModel, half: Half, seconds: float) -> DeviceProfile:
    key = (digest_of_ops(CUT), device.engine, 1)
    return device.with_segment_times(SegmentTime(model.digest, half, *key, Measurement(seconds, 0.0, 5)))


def known(model: PlainModel, setting: Setting, prefix_s: float, suffix_s: float, **costing: Any) -> Setting:
    """With both halves of the narrow cut measured, and the edge's power declared."""
    edge = replace(setting.edge, power=Power(5.0, 1.0, 2.0, "declared"))
    return replace(
        setting,
        edge=timed(edge, model, "prefix", prefix_s),
        cloud=timed(setting.cloud, model, "suffix", suffix_s),
        costing=Costing(**costing),
    )


@pytest.fixture
def slow(model: PlainModel, setting: Setting) -> Setting:
    """A cut that wins by op times, and whose halves take far longer."""
    return known(model, setting, 0.05, 0.002)


def total_s(plan: Plan) -> float:
    assert plan.predicted is not None
    return plan.predicted.total_s


def test_no_split_where_its_halves_take_longer_than_the_whole(model: PlainModel, slow: Setting) -> None:
    best = best_plan(model, slow)
    edge_only, _ = plans_to_compare(model, slow)
    assert best.plan.plan_id == edge_only.plan_id
    assert best.value == pytest.approx(total_s(edge_only))
    assert best.plan.provenance["objective"] == f"latency: {best.value:.6g} s"


def test_the_gap_says_by_which_times(model: PlainModel, setting: Setting, slow: Setting) -> None:
    quick = partition_graph(model, known(model, setting, 0.004, 0.0001))
    said = "0 among 3 candidates by measured halves; by op times 0, proven best"
    assert (quick.edge_ops, quick.provenance["gap"]) == (CUT, said)
    other = said.replace("times", "times (of another plan)")
    assert partition_graph(model, slow).provenance["gap"] == other


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("prefix_s", [0.001, 0.005, 0.03])
def test_nothing_to_compare_with_is_better(
    model: PlainModel, setting: Setting, objective: str, prefix_s: float
) -> None:
    here = known(model, setting, prefix_s, 0.002)
    value = best_plan(model, here, objective).value
    names = frozenset(op.name for op in model.graph.ops)
    for cut in (names, frozenset(CUT), frozenset[str]()):
        only = replace(here, costing=Costing(constraints=Constraints(edge_ops=cut, cloud_ops=names - cut)))
        assert value <= best_plan(model, only, objective).value


@pytest.mark.parametrize("costing", [{}, {"form": "bytes"}, {"edge_load": 1.5, "cloud_load": 4.0}])
def test_the_value_is_what_the_plan_is_predicted_to_take(
    model: PlainModel, setting: Setting, costing: dict[str, Any]
) -> None:
    best = best_plan(model, known(model, setting, 0.006, 0.0003, **costing))
    assert best.plan.edge_ops == CUT
    assert best.value == pytest.approx(total_s(best.plan))


def test_a_cut_that_is_quicker_than_its_ops_said_wins(model: PlainModel, setting: Setting) -> None:
    fast = replace(setting, link=Link.of("3gbps", "0ms"))
    assert partition_graph(model, fast).kind == "cloud-only"
    assert partition_graph(model, known(model, fast, 1e-5, 1e-5)).edge_ops == CUT


@pytest.mark.parametrize(
    "rules",
    [
        {"constraints": Constraints(cloud_ops=frozenset({"head"})), "private_input": True},
        {"constraints": Constraints(edge_memory_bytes=2_205_000, wire_bytes=20_000)},
    ],
)
def test_a_better_plan_that_breaks_a_rule_is_not_taken(
    model: PlainModel, setting: Setting, rules: dict[str, Any]
) -> None:
    here = known(model, setting, 0.05, 0.002, **rules)
    best = best_plan(model, here)
    assert best.plan.edge_ops == CUT
    assert best.value == pytest.approx(total_s(best.plan))


def test_only_codecs_that_are_allowed_are_candidates(model: PlainModel, setting: Setting) -> None:
    fast = replace(setting, link=Link.of("3gbps", "0ms"))
    assert partition_graph(model, fast).kind == "cloud-only"
    plans = [partition_graph(model, known(model, fast, 1e-5, 1e-5, lossless=lossless)) for lossless in (True, False)]
    assert [plan.edge_ops for plan in plans] == [CUT, CUT]
    assert ["int8" in {tensor.codec for tensor in plan.boundary} for plan in plans] == [False, True]


def test_throughput_stays_with_the_times_of_ops(model: PlainModel, setting: Setting, slow: Setting) -> None:
    sums, whole = (best_plan(model, one, "throughput") for one in (setting, slow))
    assert (whole.value, whole.plan.plan_id) == (sums.value, sums.plan.plan_id)
    assert whole.plan.provenance["gap"] == f"{sums.plan.provenance['gap']} by op times"


def test_without_measured_halves_nothing_changes(model: PlainModel, setting: Setting, slow: Setting) -> None:
    elsewhere = replace(slow, edge=replace(slow.edge, engine="onnxruntime"), cloud=setting.cloud)
    plain = replace(elsewhere, edge=replace(elsewhere.edge, segment_times=()))
    assert best_plan(model, elsewhere).plan == best_plan(model, plain).plan
    assert best_plan(model, elsewhere).plan.provenance["gap"] == "0, proven best"
    assert best_plan(model, elsewhere).value == best_plan(model, plain).value
