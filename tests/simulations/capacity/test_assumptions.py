"""What an answer takes for granted is said, and true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodes.chooser import ChoiceRequest
from simulations.answers.slo import Slo
from simulations.capacity.assumptions import assumptions, notes_of_kinds
from simulations.capacity.planner import CapacityPlanner
from tests.simulations.capacity.conftest import Make
from tests.simulations.replay.logs import EDGE, TABLE, decided, lines_of, written

SLO = Slo(0.4, 0.9)
SAME = "every fleet meets the same requests, of the same sizes, and the same links (common random numbers)"


def said(scenario_of: Make, *, changes: tuple[str, ...] = (), **changed: Any) -> list[str]:
    return list(assumptions(scenario_of(**changed).scenario, SLO, changes, (), None))


def test_the_confidence_is_said_to_be_of_one_fleet(scenario_of: Make) -> None:
    (line,) = (one for one in said(scenario_of) if one.startswith("that confidence is of each fleet by itself"))
    assert "not of the whole answer" in line
    assert "intervals are those that looks went by" in line


def test_requests_of_open_clients_are_the_same_for_every_fleet(scenario_of: Make) -> None:
    assert SAME in said(scenario_of)


def test_requests_of_a_closed_loop_depend_on_the_answers(scenario_of: Make) -> None:
    camera = {"name": "camera", "edges": "cell", "model": "net", "file": "20kB"}
    open_client = {**camera, "arrivals": {"kind": "poisson", "rate_per_s": 6.0}}
    desk = {**camera, "name": "desk", "arrivals": {"kind": "closed-loop", "users": 2}}
    lines = said(scenario_of, clients=[open_client, desk])
    assert f"{SAME}, but for the closed loops of desk: when they ask, and for what, depends on the answers" in lines


def test_requests_of_a_log_are_the_same_for_every_fleet(scenario_of: Make, tmp_path: Path) -> None:
    asked = ChoiceRequest(TABLE, "tensor", 1, 0, came_s=0.0, now_s=0.1)
    written(tmp_path / "log.jsonl", lines_of([decided(asked, EDGE)]))
    logged = {"name": "shop", "edges": "cell", "arrivals": {"kind": "logged", "log": str(tmp_path)}}
    assert SAME in said(scenario_of, clients=[logged])


def test_edges_are_counted_each_with_its_clients(scenario_of: Make) -> None:
    camera = {"name": "camera", "edges": "cell", "model": "net", "arrivals": {"kind": "poisson", "rate_per_s": 6.0}}
    clients = [{**camera, "count": 3}, {**camera, "name": "till"}]
    edges = [{"name": "cell", "count": 4, "link": "lan"}, {"name": "idle", "link": "lan"}]
    lines = said(scenario_of, clients=clients, edges=edges)
    counted = "edges are counted, each with its clients (cell: 3 camera and 1 till, idle: none)"
    assert f"more edges never keep it better; {counted}" in lines


@pytest.mark.parametrize(("changes", "slowly"), [((), True), (("replicas fail",), False)])
def test_a_queue_that_fills_slowly_is_named_where_beginnings_are_judged(
    scenario_of: Make, changes: tuple[str, ...], slowly: bool
) -> None:
    (line,) = (one for one in said(scenario_of, changes=changes) if one.startswith("queues are empty at the start"))
    assert "confirmed by whole runs with seeds that the search had not used" in line
    assert ("more edges and what-ifs are not confirmed" in line) == slowly


def test_a_note_is_said_once_with_the_kinds_that_it_is_of() -> None:
    notes = {"small": ("drawn", "slow"), "large": ("drawn", "fast"), "huge": ("drawn", "fast")}
    assert list(notes_of_kinds(notes)) == ["drawn", "small: slow", "large, huge: fast"]


def test_what_a_run_notes_of_its_times_is_said(scenario_of: Make) -> None:
    edges = [{"name": "cell", "count": 4, "link": "lan", "slowdown": 4}]
    capacity = {"replicas": {"most": 6}, "replica_types": {"small": {}, "large": {"cloud.speed": 2.0}}}
    file = scenario_of(edges=edges, capacity=capacity, prices="prices.yaml", duration="45s", replications=1)
    lines = CapacityPlanner(file).answer().assumptions
    assert "edge times are scaled: cell 4 times as long as measured" in lines
    assert "large: cloud times are scaled: replicas 2 times as fast as measured" in lines


def test_a_found_fleet_whose_queue_still_fills_at_the_end_is_told_as_such(scenario_of: Make) -> None:
    """Half a percent more than one replica serves: after 35 s the wait is not yet too long, and grows."""
    camera = {"name": "camera", "edges": "cell", "model": "net", "file": "20kB"}
    clients = [{**camera, "arrivals": {"kind": "steady", "period": 4 / 10.05}}]
    answer = CapacityPlanner(scenario_of(clients=clients, duration="35s", warm_up=0, spread=0.0)).answer()
    assert answer.found is not None
    assert answer.found.replicas == 1
    said = "the fleet that was found: Requests of the second half took "
    assert any(one.startswith(said) and "overloaded" in one for one in answer.assumptions)


def test_a_sweep_that_is_left_aside_is_named(scenario_of: Make) -> None:
    wanted = "sweep is for isthmus simulate: here edges.cell.count stay as the scenario says"
    assert wanted in said(scenario_of, sweep={"edges.cell.count": [4, 8]})
    assert not any(line.startswith("sweep") for line in said(scenario_of))
