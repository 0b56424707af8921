"""A simulated site writes a log as a live edge does: its replay finds the same again, and what else would be."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest

from isthmus.errors import InvalidRequest, NotFound
from nodes.chooser import Choice, ChoiceRequest, Outcome
from nodes.steering import EVERYTHING, PolicySetting, Steering
from partitioner.measurements import AffineTime
from partitioner.plan_table import PlanEntry, PlanTable
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.kernel import Simulation
from simulations.replay.answer import ReplayAnswer, replay
from simulations.replay.fates import real_fate
from simulations.replay.link_history import Gaps, LinkHistory, Sighting
from simulations.replay.logged_run import logged_run
from simulations.replay.policy_history import InForce
from simulations.replay.recorded_world import RecordedWorld
from simulations.round_trips import RoundTrips
from simulations.site import Arrival, Served, Site, SiteFacts
from tests.simulations.replay.logs import TABLE, lines_of, refused
from tests.simulations.replay.test_block_bootstrap import ends

STEPS = BandwidthTrace((0.0, 30.0, 45.0, 60.0), (30e6, 2e6, 8e6, 8e6))
RTT_S = 0.01
STEADY_TRIPS = RoundTrips((0.0,), (RTT_S,), RTT_S)


class LoggedChooser(PlanChooser):
    """Names requests as a live edge does."""

    def choose(self, request: ChoiceRequest) -> Choice:
        return super().choose(request._replace(request_id=f"{request.came_s:.9f}"))


def log_of(
    arrivals: list[Arrival], policy: str = "latency", spread: float = 0.2, table: PlanTable = TABLE
) -> list[Mapping[str, Any]]:
    """What a live edge would have written."""
    items: list[object] = []
    chooser, simulation = LoggedChooser(policy, journal=items.append), Simulation()
    site = Site(SiteFacts(table, STEPS, STEPS, RTT_S, spread), chooser, simulation)
    site.expect(arrivals)
    simulation.run()
    items += [outcome_of(one) for one in site.served if not one.refused]
    return lines_of(items)


def outcome_of(served: Served) -> Outcome:
    one = served.stages
    if not served.answered:
        return Outcome(f"{served.arrival.time_s:.9f}", failure="the deadline passed")
    return Outcome(
        f"{served.arrival.time_s:.9f}", one.edge_queue_s, one.edge_s + one.finish_s, one.uplink_s, one.cloud_queue_s,
        one.cloud_s, one.downlink_s, served.up_bytes + served.down_bytes,
        "edge" if served.resumed or served.kind == "edge-only" else "cloud", int(served.kind != "edge-only"),
        replica=served.replica,
    )  # fmt: skip


def poisson(rate_per_s: float, until_s: float = 90.0) -> list[Arrival]:
    rng, now_s, made = random.Random(5), 2.0, list[Arrival]()
    while (now_s := now_s + rng.expovariate(rate_per_s)) < until_s:
        noise = (rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1))
        made.append(Arrival(now_s, rng.choice([60_000, 200_000, 400_000]), noise=noise))
    return made


@pytest.fixture(scope="module")
def answer() -> ReplayAnswer:
    """Of a busy run under `latency`, replayed under what else there is."""
    run = logged_run(log_of(poisson(4.0)))
    return replay(run, [PolicySetting("edge-only"), PolicySetting("cloud-only"), PolicySetting("latency")])


def test_the_policy_that_ran_finds_nearly_what_happened(answer: ReplayAnswer) -> None:
    error = answer.error
    assert answer.ran == ("latency",)
    assert answer.counted == answer.requests > 300
    assert abs(error.changes["p50_s"].value) < 0.03
    assert abs(error.changes["p99_s"].value) < 0.15  # of four requests
    assert abs(error.changes["mean_s"].value) < 0.03
    assert error.mix_points < 5


def test_another_policy_is_told_with_its_bar_and_what_it_changes(answer: ReplayAnswer) -> None:
    edge, cloud, same = answer.others
    assert edge.told.plans == {"edge-only": 1.0}
    assert set(cloud.told.plans) == {"cloud-only (file)"}
    for one in (edge, cloud):
        low, high = ends(one.told.mean_s)
        assert low <= one.told.mean_s.value <= high
        assert ends(one.changes["mean_s"])[0] > 0.03  # both are worse than choosing, surely
    assert cloud.links["faster"]["mean_s"] < cloud.links["slower"]["mean_s"]
    assert edge.links["faster"] == edge.links["slower"]  # no link, no doubt about it
    assert same.changes["mean_s"].value == same.changes["p99_s"].value == 0.0


def test_what_the_log_cannot_tell_is_said(answer: ReplayAnswer) -> None:
    assert any("clients would have sent the same" in one for one in answer.caveats)
    assert any("never seen by itself" in one for one in answer.caveats)


def test_a_counterfactual_comes_near_to_what_that_policy_really_does() -> None:
    arrivals = poisson(4.0, 180.0)  # p99 has no interval of fewer than 500
    (told,) = replay(logged_run(log_of(arrivals)), [PolicySetting("edge-only")]).others
    really = replay(logged_run(log_of(arrivals, "edge-only")), []).really
    assert told.told.p50_s.value == pytest.approx(really.p50_s.value, rel=0.05)
    assert told.told.mean_s.value == pytest.approx(really.mean_s.value, rel=0.1)
    (told_low, told_high), (low, high) = ends(told.told.p99_s), ends(really.p99_s)
    assert told_low < high
    assert told_high > low


def test_plans_that_the_log_never_ran_are_told(answer: ReplayAnswer) -> None:
    assert [one.never_ran for one in answer.others] == [0.0, 0.0, 0.0]
    run = logged_run(log_of(poisson(1.0, 30.0), "edge-only"))
    others = replay(run, [PolicySetting("cloud-only"), PolicySetting("edge-only")]).others
    assert [one.never_ran for one in others] == [1.0, 0.0]


@pytest.mark.parametrize(("entries", "needs"), [(TABLE.entries, False), (TABLE.entries[1:], True)])
def test_a_model_that_needs_the_cloud_is_said_to_be_finished_by_the_edge(
    entries: tuple[PlanEntry, ...], needs: bool
) -> None:
    log = log_of(poisson(1.0, 30.0), "cloud-only", table=replace(TABLE, entries=entries))
    caveats = RecordedWorld.of(logged_run(log)).caveats()
    assert any(one.startswith("net needs the cloud: what fails") for one in caveats) == needs


@pytest.mark.parametrize("way", ["up", "down"])
def test_of_either_way_it_is_filled_in_what_was_not_seen(way: str) -> None:
    steady, apart = (Sighting(0.0, 100.0, 1e6),), (Sighting(0.0, 1.0, 1e6), Sighting(99.0, 100.0, 9e6))
    world = RecordedWorld.of(logged_run(log_of(poisson(1.0, 30.0))))
    world = replace(world, link=LinkHistory(**{"up": steady, "down": steady, way: apart}, round_trips=STEADY_TRIPS))
    under = (InForce(0.0, Steering({EVERYTHING: PolicySetting("cloud-only")})),)
    gaps: tuple[Gaps, ...] = ("faster", "slower")
    faster_s, slower_s = (fmean(fate.took_s for fate in world.run(under, one)) for one in gaps)
    assert faster_s < slower_s


def test_requests_meet_the_round_trip_of_their_moment() -> None:
    world = RecordedWorld.of(logged_run(log_of(poisson(1.0, 30.0))))
    changed = RoundTrips((0.0, 16.0, 40.0), (0.01, 0.51, 0.51), 0.01)
    steady = LinkHistory((Sighting(0.0, 100.0, 8e7),), (), STEADY_TRIPS)
    under = (InForce(0.0, Steering({EVERYTHING: PolicySetting("cloud-only")})),)
    was, becomes = (
        replace(world, link=replace(steady, round_trips=trips)).run(under) for trips in (STEADY_TRIPS, changed)
    )
    came_s = [one.asked.came_s for one in world.logged.requests]
    more_s = [
        (other.took_s - one.took_s, at_s)
        for one, other, at_s in zip(was, becomes, came_s, strict=True)
        if other.end == "answered"
    ]
    assert len(more_s) >= len(came_s) - 6  # until it is noticed, the edge would rather finish them itself
    assert all(more == pytest.approx(0.0 if at_s < 16.0 else 0.5) for more, at_s in more_s)
    assert any("the round trip" in one and "10.0 ms throughout" in one for one in world.caveats())


def test_a_replay_is_the_same_each_time() -> None:
    run = logged_run(log_of(poisson(1.0, 60.0)))
    others = [PolicySetting("random")]
    assert replay(run, others) == replay(run, others)


def test_requests_that_were_refused_take_part() -> None:
    lines = log_of([replace(one, timeout_s=0.5) for one in poisson(2.0, 60.0)])
    shed = {
        "kind": "refused", "came_s": 30.0, "model": "net", "form": "bytes", "batch": 1, "file_bytes": 200_000,
        "timeout_s": 0.5, "priority": 0, "client": "", "request_class": "", "policy": "", "plan_id": "",
        "failure": "shed",
    }  # fmt: skip
    found = replay(logged_run([*lines, shed]), [])
    assert found.really.ends["refused"] == 1
    assert found.again.ends.get("refused", 0) == 0  # there was room: the log's edge had refused it at random
    assert found.really.in_time is not None
    assert found.really.in_time.value < found.again.in_time.value  # type: ignore[union-attr]


def test_a_policy_with_more_time_answers_what_the_one_that_ran_had_none_for() -> None:
    lines = log_of(poisson(2.0, 60.0))
    facts = refused(30.0, file_bytes=200_000, timeout_s=0.001, asked_s=None)
    found = replay(logged_run([*lines, *lines_of([facts])[1:]]), [PolicySetting("slo", {"deadline": 5.0})])
    (slo,) = found.others
    assert found.really.ends["refused"] == 1
    assert slo.told.ends.get("refused", 0) == 0
    assert found.really.in_time is not None
    assert found.really.in_time.value == 0.0  # the only one with a deadline
    assert found.again.in_time is None
    assert slo.told.in_time is not None
    assert slo.told.in_time.value > 0.9


def test_a_log_that_was_cut_off_before_any_request_ended_is_refused() -> None:
    lines = [line for line in log_of(poisson(1.0, 30.0)) if line["kind"] != "outcome"]
    with pytest.raises(InvalidRequest, match="log: tells of no request's end"):
        replay(logged_run(lines), [])


def test_a_policy_that_is_not_there_is_named() -> None:
    run = logged_run(log_of(poisson(1.0, 30.0)))
    with pytest.raises(NotFound, match="'nothing'"):
        replay(run, [PolicySetting("nothing")])


def per_item(entry: PlanEntry) -> PlanEntry:
    """Half of each side's time and all that crosses is for every item."""
    costs = entry.costs
    edge, cloud, finish = (
        AffineTime(one.fixed_s / 2, one.fixed_s / 2) for one in (costs.edge, costs.cloud, costs.local_finish)
    )
    changed = replace(
        costs, edge=edge, cloud=cloud, local_finish=finish,
        uplink_bytes_fixed=0, uplink_bytes_per_item=float(costs.uplink_bytes_fixed),
    )  # fmt: skip
    return replace(entry, costs=changed)


ITEMS = replace(TABLE, entries=tuple(per_item(one) for one in TABLE.entries))


@pytest.mark.parametrize("policy", ["edge-only", "cloud-only", "fixed:split"])
def test_requests_of_several_items_take_what_so_many_do(policy: str) -> None:
    """Each comes alone, under a policy that did not run: what its plan costs for one item, or for four."""
    arrivals = [Arrival(5.0 + 5.0 * number, 100_000, items=1 + 3 * (number % 2)) for number in range(12)]
    run = logged_run(log_of(arrivals, "latency", spread=0.0, table=ITEMS))
    world = RecordedWorld.of(run)
    fates = world.run((InForce(0.0, Steering({EVERYTHING: PolicySetting(policy)})),))
    kind = policy.removeprefix("fixed:")
    (entry,) = (one for one in ITEMS.entries if one.plan.kind == kind)
    answered = [one for one in zip(arrivals, fates, strict=True) if one[1].end == "answered"]
    assert len(answered) >= len(arrivals) - 2  # when the link has just become slow some of them are not waited for
    for arrival, fate in answered[2:]:
        stages, items = fate.stages, arrival.items
        assert stages.edge_s == pytest.approx(entry.costs.edge.at(items), rel=0.02)
        assert stages.cloud_s == pytest.approx(entry.costs.cloud.at(items), rel=0.02)


def test_a_log_of_requests_of_several_items_is_replayed_as_near() -> None:
    rng = random.Random(7)
    arrivals = [replace(one, items=rng.choice([1, 1, 2, 4])) for one in poisson(2.0)]
    run = logged_run(log_of(arrivals, table=ITEMS))
    error = replay(run, []).error
    assert {one.asked.batch for one in run.requests} == {1, 2, 4}
    assert abs(error.changes["p50_s"].value) < 0.03
    assert abs(error.changes["mean_s"].value) < 0.03
    assert error.mix_points < 5


def test_a_request_whose_deadline_passed_has_failed_in_the_log_and_in_its_replay() -> None:
    """The link becomes slow unforeseen, and the edge takes too long to finish what was sent before."""
    slow = [replace(one, costs=replace(one.costs, local_finish=AffineTime(5.0, 0.0))) for one in TABLE.entries]
    arrivals = [Arrival(1.0 + number / 4, 200_000, timeout_s=0.4) for number in range(160)]
    run = logged_run(log_of(arrivals, "cloud-only", table=replace(TABLE, entries=tuple(slow))))
    failed = [one for one in run.requests if one.outcome is not None and one.outcome.failure]
    assert failed
    assert {real_fate(one).end for one in failed} == {"failed"}
    link = LinkHistory((Sighting(0.0, 30.0, 30e6), Sighting(30.0, 100.0, 2e6)), (), STEADY_TRIPS)
    under = (InForce(0.0, Steering({EVERYTHING: PolicySetting("cloud-only")})),)
    fates = replace(RecordedWorld.of(run), link=link).run(under)
    assert {"answered", "failed"} <= {one.end for one in fates} <= {"answered", "resumed", "refused", "failed"}


def test_requests_of_models_without_a_plan_count_nowhere() -> None:
    lines = log_of([replace(one, timeout_s=0.5) for one in poisson(1.0, 30.0)])
    unknown = lines_of([refused(10.0 + number, model="other", timeout_s=0.5) for number in range(5)])[1:]
    without, found = (replay(logged_run(one), [PolicySetting("edge-only")]) for one in (lines, [*lines, *unknown]))
    assert found.requests == without.requests + 5
    assert any(one.startswith("5 requests are of models of which no plan is known") for one in found.caveats)
    same = ("counted", "really", "again", "error", "others", "link_seen")
    assert [getattr(found, name) for name in same] == [getattr(without, name) for name in same]


def test_a_log_whose_only_ends_are_of_models_without_a_plan_is_refused() -> None:
    lines = [line for line in log_of(poisson(1.0, 30.0)) if line["kind"] != "outcome"]
    with pytest.raises(InvalidRequest, match="log: tells of no request's end"):
        replay(logged_run([*lines, *lines_of([refused(10.0, model="other")])[1:]]), [])
