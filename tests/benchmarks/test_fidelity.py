"""The fidelity benchmark judges right, drives both halves by one file, and in short finds them alike."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.fidelity import SCENARIOS, Measured, measure
from benchmarks.fidelity_judge import RunSummary, compare
from benchmarks.fidelity_profile import Profile, Sample, measured_entry
from benchmarks.fidelity_simulated import arrivals_of, completed, simulated_run
from benchmarks.fidelity_site import changes, check_runnable
from benchmarks.fidelity_subjects import SUBJECTS
from benchmarks.regret import plan_table
from isthmus.errors import InvalidConfiguration
from simulations.run_record import EndedRequest, RunFacts, RunRecorder
from simulations.scenario.reading import read_scenario
from simulations.scenario.sweep import with_settings

RUN = RunSummary(100, 50.0, 100.0, 20.0, {"split": 1.0}, {}, {})


def test_a_run_is_told_by_its_answers_after_the_warm_up() -> None:
    recorder = RunRecorder()
    recorder.add(EndedRequest(0.5, 9.0, outcome="answered", kind="split"))
    for number in range(100):
        recorder.add(
            EndedRequest(1.0 + number / 50, 0.001 * (number + 1), edge_s=0.001, outcome="answered", kind="split")
        )
    recorder.add(EndedRequest(2.9, 0.5, outcome="resumed", kind="edge-only"))
    recorder.add(EndedRequest(2.95, 0.0, outcome="refused", reason="deadline"))
    told = RunSummary.of(recorder.finish(RunFacts("x", 1, 3.0, warm_up_s=1.0)))
    assert told.requests == 102
    assert told.p50 == pytest.approx(51.0)
    assert told.throughput == pytest.approx(101 / 2.4)
    assert told.shares == pytest.approx({"split": 100 / 101, "edge-only": 1 / 101})
    assert told.stages["edge_s"] == pytest.approx(100 / 101)
    assert told.ended["refused"] == pytest.approx(1 / 102)


def test_an_error_is_allowed_its_goal() -> None:
    near = compare("near", [RUN] * 5, [replace(RUN, p50=51.4, p99=107.9, throughput=20.3)] * 5, 0)
    assert near.holds
    far = compare("far", [RUN] * 5, [replace(RUN, p50=51.6, p99=108.1, throughput=20.5)] * 5, 0)
    assert [name for name, one in far.measures.items() if not one.holds] == ["p50", "p99", "throughput"]
    assert far.p50_error.value == pytest.approx(0.032)


def test_an_error_is_allowed_what_the_live_runs_differ_by() -> None:
    live = [replace(RUN, p50=p50) for p50 in (45.0, 50.0, 50.0, 50.0, 55.0)]
    assert compare("spread", live, [replace(RUN, p50=54.9)] * 5, 0).holds
    assert not compare("spread", live, [replace(RUN, p50=55.1)] * 5, 0).holds


def test_the_mix_is_judged_by_the_kind_that_differs_most() -> None:
    other = replace(RUN, shares={"split": 0.93, "edge-only": 0.07})
    found = compare("mix", [RUN] * 5, [other] * 5, 0).measures["plan mix"]
    assert found.error == pytest.approx(0.07)
    assert not found.holds


def test_a_profile_has_the_low_quantile_and_how_far_the_median_lies_above_it() -> None:
    entry = next(one for one in plan_table().for_form("bytes") if one.plan.kind == "split")
    samples = [Sample(0.010 + 0.001 * (number % 10), 0.020, 0.0) for number in range(20)]
    costs = measured_entry(entry, samples).costs
    assert costs.edge.at(1) == pytest.approx(0.011)
    assert costs.edge_spread == pytest.approx(0.0145 / 0.011 - 1)
    assert costs.cloud.at(1) == pytest.approx(0.020)
    assert costs.cloud_spread == pytest.approx(0.0)


def test_the_simulated_edge_gets_the_requests_that_the_live_one_gets(tmp_path: Path) -> None:
    file = with_settings(read_scenario(SCENARIOS["photos"]), [("duration", 20.0)])
    whole = completed(file, Profile(plan_table(), 0.001, 0.0), tmp_path)
    live = arrivals_of(whole.scenario, 3)
    simulated = simulated_run(whole, 3).requests.time_s
    assert [one.time_s for one in live] == simulated.tolist()
    assert len(live) == pytest.approx(20 * 20, rel=0.3)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_can_be_run_live(name: str) -> None:
    scenario = read_scenario(SCENARIOS[name]).scenario
    check_runnable(scenario)
    assert scenario.models[0].name in SUBJECTS
    rate_per_s = sum(one.arrivals.process().mean_rate_per_s for one in scenario.clients)  # type: ignore[union-attr, misc]
    assert rate_per_s * (scenario.duration - scenario.warm_up) >= 2000


def test_what_cannot_be_run_live_is_refused() -> None:
    file = read_scenario(SCENARIOS["lte"])
    for setting in (("edges.site.count", 2), ("cloud.speed", 2.0), ("links.lte.outages", {"every": 5, "for": 1})):
        with pytest.raises(InvalidConfiguration):
            check_runnable(with_settings(file, [setting]).scenario)


def test_a_recorded_link_plays_from_its_start() -> None:
    scenario = read_scenario(SCENARIOS["bus-ride"]).scenario
    played = list(changes(scenario, 10.0))
    assert played[0][0] == 0.0
    assert len(played) > 3
    assert len({shape.uplink_bps for _, shape in played}) > 3


@pytest.mark.slow
def test_a_short_live_run_and_its_simulation_are_alike() -> None:
    """Bounds that a busy machine keeps too; how near they are is the benchmark's to say."""
    file = with_settings(read_scenario(SCENARIOS["busy-fibre"]), [("duration", 4.0), ("warm_up", 1.0)])
    measured = Measured()
    asyncio.run(measure(file, measured, 1, time.monotonic() + 60))
    (live,), (simulated,) = measured.live, measured.simulated
    assert live.requests == simulated.requests > 100
    assert live.ended["answered"] == simulated.ended["answered"] == 1.0
    assert live.shares == simulated.shares == {"cloud-only": 1.0}
    assert simulated.throughput == pytest.approx(live.throughput, rel=0.25)
