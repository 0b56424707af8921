"""What is blamed for late requests that have deadlines, most of which are refused rather than answered late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partitioner.measurements import AffineTime
from partitioner.plan_table import PlanTable
from simulations.answers.slo import Slo
from simulations.capacity.slo_windows import SloWindows
from simulations.capacity.verdict import Blame, Verdict, blamed, judged
from simulations.fleet import Fleet
from simulations.scenario.sweep import with_settings
from simulations.site_request import Arrival, Served, StageSeconds
from tests.scheduler.conftest import DIGEST, make_entry
from tests.simulations.capacity.conftest import Make

FILE = make_entry("input", "file", cloud_s=0.1)
# An edge that finishes a request takes as long as for all of it.
FINISHED = replace(FILE, costs=replace(FILE.costs, local_finish=AffineTime(2.0, 0.0)))
TABLE = PlanTable("net", DIGEST, (make_entry(edge_s=2.0), FINISHED))


def verdict_of(scenario_of: Make, replicas: int, **settings: Any) -> Verdict:
    """With deadlines as long as the promise. settings: fields with "__" for their dots."""
    changed = [(path.replace("__", "."), value) for path, value in settings.items()]
    file = with_settings(scenario_of(), [("cloud.replicas", replicas), ("clients.camera.deadline", "400ms"), *changed])
    (file.folder / "plans.json").write_text(TABLE.to_json())
    return judged(Fleet(file.scenario, file.folder), Slo(0.4, 0.9), 0.95, range(1), early=False)


def test_a_fleet_with_plenty_of_all_keeps_the_promise(scenario_of: Make) -> None:
    assert verdict_of(scenario_of, 5).side == "above"


@pytest.mark.parametrize("policy", ["latency", "cloud-only"])
def test_of_too_few_replicas_they_are_blamed(scenario_of: Make, policy: str) -> None:
    verdict = verdict_of(scenario_of, 2, edges__cell__policy=policy)
    assert verdict.side == "below"
    assert verdict.blame.stage == "cloud_queue"
    assert verdict.blame.more_s > 0.02


@pytest.mark.parametrize("uplink", ["0.32mbps", "0.8mbps"])
def test_of_uplinks_that_are_too_slow_they_are_blamed(scenario_of: Make, uplink: str) -> None:
    """A file takes half a second, or half of the time between two."""
    verdict = verdict_of(scenario_of, 5, links__lan__uplink=uplink)
    assert verdict.side == "below"
    assert verdict.blame.stage == "uplink"


@pytest.mark.parametrize(("slowdown", "stages"), [(0.1, {"edge_queue"}), (1.0, {"edge"})])
def test_of_edges_that_are_too_slow_they_are_blamed(scenario_of: Make, slowdown: float, stages: set[str]) -> None:
    """A request takes 0.2 s of an edge that gets six a second, or two seconds."""
    verdict = verdict_of(scenario_of, 5, edges__cell__policy="edge-only", edges__cell__slowdown=slowdown)
    assert verdict.side == "below"
    assert verdict.blame.stage in stages


def windows_of(*ended: Served) -> SloWindows:
    windows = SloWindows(Slo(0.4, 0.9), 0.0, 10.0, 1)
    for one in ended:
        windows.arrived(one.arrival)
        windows.ended(one)
    return windows


KEPT = Served(Arrival(1.0, 0), "p", 0.2, stages=StageSeconds(edge_s=0.1, cloud_queue_s=0.05, cloud_s=0.05))


def test_a_refusal_is_blamed_on_what_it_would_have_waited_for_beyond_what_others_did() -> None:
    foreseen = StageSeconds(edge_queue_s=0.1, edge_s=0.1, cloud_queue_s=0.35, cloud_s=0.05)
    late = Served(Arrival(2.0, 0, 0.3), "", 0.0, refused="deadline", foreseen=foreseen)
    blame = blamed(windows_of(KEPT, late))
    assert (blame.stage, blame.refused) == ("cloud_queue", True)
    assert blame.more_s == pytest.approx(0.3)


def test_a_refusal_before_which_nothing_waited_is_the_admissions() -> None:
    late = Served(Arrival(2.0, 0, 0.3), "", 0.0, refused="shed")
    assert blamed(windows_of(KEPT, late)) == Blame("refused", 0.0, refused=True)


def test_what_is_answered_late_is_blamed_where_it_is_more_than_what_is_refused() -> None:
    late = Served(Arrival(2.0, 0), "p", 0.9, stages=StageSeconds(edge_queue_s=0.7, edge_s=0.1))
    assert blamed(windows_of(KEPT, late)).stage == "edge_queue"
