"""Plan tables made of two profiles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from partitioner.cost_model import Costing
from partitioner.link import Link
from partitioner.measurements import Measurement, OpTimes, SegmentTime, digest_of_ops
from partitioner.partition import plan_for_cut
from partitioner.plan_table import Accuracy, PlanTable
from partitioner.profiled_table import profiled_table
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from tests.partitioner.planning.conftest import PlainModel

CUT = ("stem", "body")
LINK = Link.of("20mbps", "10ms")


def table_of(model: PlainModel, setting: Setting, *cuts: tuple[str, ...]) -> PlanTable:
    return profiled_table(model, setting, [(plan_for_cut(model, setting, cut), None) for cut in cuts])


def every(model: PlainModel) -> tuple[str, ...]:
    return tuple(op.name for op in model.graph.ops)


def test_a_request_alone_is_predicted_as_its_plan_is(model: PlainModel, setting: Setting) -> None:
    idle = replace(setting, link=LINK)
    for cut in ((), CUT, every(model)):
        (entry,) = table_of(model, idle, cut).entries
        planned = plan_for_cut(model, idle, cut).predicted
        assert planned is not None
        assert entry.predict(1, 0, LINK).total_s == pytest.approx(planned.total_s, rel=1e-6)


def test_the_link_of_the_setting_does_not_count(model: PlainModel, setting: Setting) -> None:
    tables = [
        profiled_table(model, replace(setting, link=link), [(plan_for_cut(model, setting, CUT), None)])
        for link in (LINK, Link.of("1mbps", "1s"))
    ]
    assert tables[0] == tables[1]


def test_finishing_on_the_edge_takes_what_the_rest_takes_there(model: PlainModel, setting: Setting) -> None:
    split, whole, none = table_of(model, setting, CUT, every(model), ()).entries
    seconds = setting.edge.op_seconds(model.graph, model.digest, 1)
    rest = [name for name in every(model) if name not in CUT]
    assert split.costs.local_finish.at(1) == pytest.approx(sum(seconds[name] for name in rest))
    assert whole.costs.local_finish.at(1) == 0.0
    assert none.costs.local_finish.at(1) == pytest.approx(sum(seconds.values()))


def test_measured_segments_come_before_sums_of_ops(model: PlainModel, setting: Setting) -> None:
    time = SegmentTime(model.digest, "suffix", digest_of_ops(CUT), setting.cloud.engine, 1, Measurement(0.5, 0.0, 5))
    (entry,) = table_of(model, replace(setting, cloud=setting.cloud.with_segment_times(time)), CUT).entries
    assert entry.costs.cloud.at(1) == pytest.approx(0.5, abs=0.01)


def measured(device: DeviceProfile, model: PlainModel, seconds: dict[int, float]) -> DeviceProfile:
    ops = {name: Measurement(seconds[1] / 10, 0.0, 5) for name in every(model)}
    times = [
        OpTimes(model.digest, device.engine, 1, batch, ops, Measurement(took_s, took_s / 5, 5))
        for batch, took_s in seconds.items()
    ]
    return device.with_op_times(*times)


def test_batches_take_what_the_whole_model_was_measured_to_take(model: PlainModel, setting: Setting) -> None:
    device = measured(setting.cloud, model, {1: 0.010, 2: 0.012})
    (entry,) = table_of(model, replace(setting, cloud=device), ()).entries
    (plain,) = table_of(model, setting, ()).entries
    coding_s = plain.costs.cloud.at(1) - sum(setting.cloud.op_seconds(model.graph, model.digest, 1).values())
    assert entry.costs.cloud.at(1) == pytest.approx(0.010 + coding_s, rel=1e-3)
    assert entry.costs.cloud.at(2) == pytest.approx(0.012 + 2 * coding_s, rel=0.01)
    assert entry.costs.cloud_spread == pytest.approx(0.2)


def test_a_batch_between_those_measured_lies_on_the_line_through_the_whole_models(
    model: PlainModel, setting: Setting
) -> None:
    device = measured(setting.cloud, model, {1: 0.010, 4: 0.034})
    half = SegmentTime(model.digest, "suffix", digest_of_ops(CUT), device.engine, 1, Measurement(50.0, 0.0, 5))
    (entry,) = table_of(model, replace(setting, cloud=device.with_segment_times(half)), CUT).entries
    assert entry.costs.cloud.at(2) == pytest.approx(50.0 * 1.8, rel=1e-4)  # of a half, too, whatever its ops


def test_batches_that_follow_no_line_go_along_size_by_size(model: PlainModel, setting: Setting) -> None:
    seconds = {1: 0.010, 2: 0.010, 4: 0.030, 8: 0.035}
    both = replace(
        setting, edge=measured(setting.edge, model, {size: 3 * took_s for size, took_s in seconds.items()}),
        cloud=measured(setting.cloud, model, seconds),
    )  # fmt: skip
    split, none = table_of(model, both, CUT, ()).entries
    assert [size for size, _ in split.costs.suffix_s] == [1, 2, 4, 8]
    assert dict(none.costs.suffix_s) == pytest.approx(seconds)
    for curve, device, ops in (
        (split.costs.prefix_s, both.edge, CUT),
        (split.costs.suffix_s, both.cloud, [name for name in every(model) if name not in CUT]),
    ):
        one_s = sum(device.op_seconds(model.graph, model.digest, 1)[name] for name in ops)
        assert dict(curve) == pytest.approx({size: one_s * took_s / 0.010 for size, took_s in seconds.items()})
    assert none.costs.prefix_s == ()


def test_two_sizes_are_a_line_and_no_curve(model: PlainModel, setting: Setting) -> None:
    both = replace(setting, cloud=measured(setting.cloud, model, {1: 0.010, 2: 0.012}))
    (entry,) = table_of(model, both, CUT).entries
    assert (entry.costs.prefix_s, entry.costs.suffix_s) == ((), ())


@pytest.mark.parametrize("sizes", [1, 4], ids=["a size", "four sizes"])
def test_a_half_that_is_not_joined_has_the_time_of_one_item(model: PlainModel, setting: Setting, sizes: int) -> None:
    seconds = dict(list({1: 0.010, 2: 0.012, 4: 0.014, 8: 0.018}.items())[:sizes])
    both = replace(setting, edge=measured(setting.edge, model, seconds), cloud=measured(setting.cloud, model, seconds))
    plans = [(plan_for_cut(model, both, cut), None) for cut in (CUT, ())]
    split, none = profiled_table(model, both, plans, lambda plan, half: half == "prefix").entries
    assert [size for size, _ in split.costs.prefix_s] == ([1, 2, 4, 8] if sizes == 4 else [])
    assert dict(split.costs.suffix_s) == pytest.approx({1: 0.005})  # two of the four ops, which take as long each
    assert none.costs.prefix_s == ()
    assert dict(none.costs.suffix_s) == pytest.approx({1: 0.010})


def test_accuracy_and_form_are_the_plans_own(model: PlainModel, setting: Setting) -> None:
    accuracy = Accuracy("cosine", 0.99, 8)
    lossy = replace(setting, costing=Costing(lossless=False))
    plan = plan_for_cut(model, lossy, CUT, {"narrow": "int8"})
    (entry,) = profiled_table(model, lossy, [(plan, accuracy)]).entries
    assert entry.accuracy == accuracy
    assert entry.plan.plan_id == plan.plan_id
    assert PlanTable.from_json(profiled_table(model, lossy, [(plan, accuracy)]).to_json()).entries == (entry,)
