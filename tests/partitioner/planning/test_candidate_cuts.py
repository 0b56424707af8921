"""Which cuts between two devices are worth timing."""

from __future__ import annotations

from dataclasses import replace

from partitioner.candidate_cuts import candidate_cuts
from partitioner.cost_model import Costing
from partitioner.frontier import frontier_of
from partitioner.measurements import Measurement, OpTimes
from partitioner.menu import menu_of
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from tests.partitioner.planning.conftest import PlainModel


def frontier_cuts(model: PlainModel, setting: Setting) -> set[tuple[str, ...]]:
    """Those with an op on either side."""
    cuts = {entry.plan.edge_ops for entry in frontier_of(model, setting).plans}
    return {cut for cut in cuts if 0 < len(cut) < len(model.graph.ops)}


def with_times(device: DeviceProfile, model: PlainModel, **seconds: float) -> DeviceProfile:
    times = {name: Measurement(took_s, 0.0, 5) for name, took_s in seconds.items()}
    whole = Measurement(sum(seconds.values()), 0.0, 5)
    return device.with_op_times(OpTimes(model.digest, device.engine, 1, 1, times, whole))


def test_each_cut_of_the_frontier_that_has_two_halves_is_one(model: PlainModel, setting: Setting) -> None:
    cuts = candidate_cuts(model, setting.edge, setting.cloud, Costing())
    assert set(cuts) == frontier_cuts(model, setting) == {("stem", "body")}


def test_whichever_of_the_two_is_the_edge(model: PlainModel, setting: Setting) -> None:
    # `grow` is quick on one device and `head` on the other, so each way round has a frontier of its own.
    one = with_times(setting.edge, model, stem=0.1, body=0.1, grow=1e-6, head=10.0)
    other = with_times(setting.cloud, model, stem=0.1, body=0.1, grow=1.0, head=0.1)
    ways = [
        frontier_cuts(model, replace(setting, edge=edge, cloud=cloud)) for edge, cloud in ((one, other), (other, one))
    ]
    assert ways[0] != ways[1]
    for pair in ((one, other), (other, one)):
        assert set(candidate_cuts(model, *pair, Costing())) == ways[0] | ways[1]


def test_what_a_fleet_would_be_offered_comes_first(model: PlainModel, setting: Setting) -> None:
    # `grow` runs on the edge only where the cloud is five times as loaded, which no fleet is offered plans for.
    edge = with_times(setting.edge, model, stem=0.01, body=0.01, grow=0.01, head=10.0)
    cloud = with_times(setting.cloud, model, stem=0.01, body=0.01, grow=0.002, head=0.1)
    frontier = frontier_of(model, replace(setting, edge=edge, cloud=cloud))
    assert ("stem", "body", "grow") not in {cut.edge_ops for cut in menu_of(frontier, most_cuts=7).cuts}
    assert candidate_cuts(model, edge, cloud, Costing())[:2] == (("stem", "body"), ("stem", "body", "grow"))
