"""`isthmus capacity`: what it prints, its picture, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from typer.testing import CliRunner

from isthmus.cli.capacity_tables import capacity_lines
from isthmus.cli.main import app
from simulations.answers.interval import Estimate
from simulations.answers.slo import Slo
from simulations.capacity.plan_answer import CapacityAnswer, Tried
from simulations.capacity.verdict import Blame
from tests.simulations.capacity.conftest import Make, scenario_of

__all__ = ["scenario_of"]


@pytest.fixture
def scenario(scenario_of: Make, tmp_path: Path) -> Path:
    """Its file."""
    scenario_of(duration="40s", warm_up="5s", replications=1, prices="prices.yaml")
    return tmp_path / "scenario.yaml"


def test_the_fleet_its_price_and_what_limits_it_are_told_and_drawn(scenario: Path, tmp_path: Path) -> None:
    picture = tmp_path / "fleets.svg"
    done = CliRunner().invoke(app, ["capacity", str(scenario), "--picture", str(picture)])
    assert done.exit_code == 0, done.exception
    said = done.stdout
    assert "the cheapest fleet: " in said
    assert "EUR an hour" in said
    assert "what binds: the replicas" in said
    assert "how many more edges until it breaks: " in said
    assert "waiting for a replica, mean: " in said
    assert fromstring(picture.read_text()).tag.endswith("svg")


def test_no_fleet_that_will_do_is_a_failure_and_json_holds_no_infinity(scenario: Path) -> None:
    words = ["capacity", str(scenario), "--set", "slo.within=50ms", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert json.loads(done.stdout)["found"] is None


def test_a_picture_that_cannot_be_written_costs_no_search(scenario: Path, tmp_path: Path) -> None:
    picture = tmp_path / "fleets.svg"
    picture.symlink_to(tmp_path / "gone" / "fleets.svg")
    words = ["--set", "slo.within=50ms", "--set", "capacity.replicas.most=1", "--picture", str(picture)]
    done = CliRunner().invoke(app, ["capacity", str(scenario), *words])
    assert "no fleet that may be keeps it" in done.stdout
    assert str(done.exception).startswith("--picture: cannot be written")


def test_too_few_requests_to_be_sure_are_not_taken_for_too_few_replicas() -> None:
    tried = Tried("as the scenario says", 6, "open", Estimate(1.0, 0.99, 1.0, 300, "exact"), Blame("", 0.0), 300)
    answer = CapacityAnswer("small", Slo(0.4, 0.999), 0.95, "", "", None, (), (tried,), (), 300)
    assert "too few requests to tell: set a longer duration" in "\n".join(capacity_lines(answer))
