"""`isthmus capacity`: what it prints, its picture, and its exit code."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from typer.testing import CliRunner

from isthmus.cli.capacity_tables import blame_words, capacity_lines
from isthmus.cli.main import app
from simulations.answers.interval import Estimate
from simulations.answers.slo import Slo
from simulations.capacity.fleet_picture import fleet_picture
from simulations.capacity.plan_answer import (
    CapacityAnswer,
    Considered,
    Found,
    Headroom,
    QueueCheck,
    Sensitivity,
    Tried,
    WorstGroup,
)
from simulations.capacity.queueing import QueueTheory
from simulations.capacity.verdict import Blame
from tests.simulations.capacity.conftest import Make, scenario_file, scenario_of

__all__ = ["scenario_of"]


SHORT = {"duration": "40s", "warm_up": "5s", "replications": 1, "prices": "prices.yaml"}


@pytest.fixture
def scenario(scenario_of: Make, tmp_path: Path) -> Path:
    """Its file."""
    scenario_of(**SHORT)
    return tmp_path / "scenario.yaml"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    """What a search prints, and its picture."""
    folder = tmp_path_factory.mktemp("told")
    scenario_file(folder, **SHORT)
    picture = folder / "fleets.svg"
    done = CliRunner().invoke(app, ["capacity", str(folder / "scenario.yaml"), "--picture", str(picture)])
    assert done.exit_code == 0, done.exception
    return done.stdout.splitlines(), picture.read_text()


def test_the_fleet_its_price_and_what_limits_it_are_told_and_drawn(told: tuple[list[str], str]) -> None:
    said, picture = "\n".join(told[0]), told[1]
    assert "the cheapest fleet: " in said
    assert "EUR an hour" in said
    assert "what binds: the replicas" in said
    assert "how many more edges until it breaks: " in said
    assert "waiting for a replica, mean: " in said
    assert re.search(r"^  at most \d\S* m?s \(Kingman\)$", said, re.MULTILINE)
    assert fromstring(picture).tag.endswith("svg")


def test_other_worlds_are_rows_of_a_table(told: tuple[list[str], str]) -> None:
    lines = told[0]
    first = next(number for number, line in enumerate(lines) if line.startswith("what if"))
    rows = [re.split(r"  +", line) for line in lines[first : first + 4]]
    assert rows[0] == ["what if", "in time", "keeps it", "replicas needed", "what is late"]
    assert [row[0] for row in rows[1:]] == ["uplink halved", "load doubled", "replicas at 75% of their speed"]
    assert all(re.match(r"\d+\.\d\d%", row[1]) for row in rows[1:])
    assert lines[first + 4] == ""


def test_what_is_taken_for_granted_stands_at_the_end(told: tuple[list[str], str]) -> None:
    lines = told[0]
    first = next(number for number, line in enumerate(lines) if line.startswith("taken for granted ("))
    assert re.fullmatch(r"taken for granted \([\d,]+ requests were simulated\):", lines[first])
    granted = lines[first + 1 :]
    assert all(line.startswith("- ") for line in granted)
    assert "- more replicas never keep the promise worse" in granted
    wanted = "- every fleet meets the same requests, of the same sizes, and the same links (common random numbers)"
    assert wanted in granted
    assert any(line.startswith("- prices: ") for line in granted)


LATE, NONE = Blame("cloud_queue", 0.5), Blame("", 0.0)
WAITED = "the replicas: requests wait for them (500 ms more than others)"
TRIED = Tried("as the scenario says", 2, "above", Estimate(0.99, 0.98, 1.0, 900, "exact"), NONE, 900)
THEORY = QueueTheory(24.0, 0.05, 0.0, 2, 0.6, 0.01, 0.02, math.inf)
FOUND = Found(
    "as the scenario says", 2, None, TRIED, replace(TRIED, whole=True), None, None, (), None,
    QueueCheck(THEORY, Estimate(0.012), batched=False, plausible=True), Headroom(4, 5, 6, "below", LATE), (),
)  # fmt: skip


def answer_of(found: Found | None, tried: Tried = TRIED) -> CapacityAnswer:
    return CapacityAnswer("small", Slo(0.4, 0.9), 0.95, "", "", found, (), (tried,), ("prices: none",), 900)


def test_another_world_is_told_with_what_it_needs_and_a_wait_with_its_bounds() -> None:
    worlds = (
        Sensitivity("uplink halved", "above", Estimate(0.95, 0.93, 0.97, 900, "exact"), NONE, 2),
        Sensitivity("load doubled", "below", Estimate(0.2), LATE, None),
        Sensitivity("load tripled", "below", Estimate(0.1), LATE, 9),
        Sensitivity("load the same", "above", Estimate(0.95), NONE, 2, whole=True),
    )
    said = list(capacity_lines(answer_of(replace(FOUND, sensitivities=worlds))))
    rows = [re.split(r"  +", line) for line in said if line.startswith(("uplink", "load"))]
    assert rows == [
        ["uplink halved", "95.00% [93.00%, 97.00%]", "yes, not confirmed", "2, not confirmed", "-"],
        ["load doubled", "20.00%", "no", "more than may be", WAITED],
        ["load tripled", "10.00%", "no", "9, not confirmed", WAITED],
        ["load the same", "95.00%", "yes", "2", "-"],
    ]
    assert "  with one queue for all (M/G/2, Lee and Longton), without end with queues apart," in said
    assert "  at most 20 ms (Kingman)" in said
    assert said[-2:] == ["taken for granted (900 requests were simulated):", "- prices: none"]


@pytest.mark.parametrize(
    ("batched", "plausible", "load", "words"),
    [
        (False, True, 0.6, "load 0.60: of the size that theory has"),
        (True, True, 0.6, "load 0.60: of the size that theory has; replicas batch, which theory does not know"),
        (False, False, 0.6, "load 0.60: NOT of the size that theory has: look into it"),
        (True, None, 1.2, "load 1.20: theory does not fit: it has no batching, and load is 1.20 >= 1"),
    ],
)
def test_what_theory_says_of_a_wait_is_told_or_that_it_says_nothing(
    batched: bool, plausible: bool | None, load: float, words: str
) -> None:
    check = QueueCheck(replace(THEORY, load=load), Estimate(0.012), batched=batched, plausible=plausible)
    (said,) = (line for line in capacity_lines(answer_of(replace(FOUND, queue=check))) if "requests a second" in line)
    assert said.endswith(words)


def test_of_arrivals_that_theory_does_not_know_the_simulated_wait_is_told_alone() -> None:
    check = QueueCheck(THEORY, Estimate(0.012), batched=False, plausible=None, poisson=False)
    said = list(capacity_lines(answer_of(replace(FOUND, queue=check))))
    assert "waiting for a replica, mean: 12 ms simulated; no theory for such arrivals" in said
    assert not any("Kingman" in line or "NOT of the size" in line for line in said)


@pytest.mark.parametrize(
    ("headroom", "words"),
    [
        (Headroom(4, 5, 6, "below", LATE),
         f"1 more than 4 edges keep it (not confirmed), 2 more break it: {WAITED}"),
        (Headroom(4, 5, 6, "below", LATE, whole=True), f"1 more than 4 edges keep it, 2 more break it: {WAITED}"),
        (Headroom(4, 4, 5, "below", LATE), f"0 more than 4 edges keep it, 1 more break it: {WAITED}"),
        (Headroom(4, 5, 6, "open", LATE),
         f"1 more than 4 edges keep it (not confirmed), with 2 more it is too near to tell: {WAITED}"),
        (Headroom(4, 5, 6, "open", NONE),
         "1 more than 4 edges keep it (not confirmed), with 2 more it is too near to tell"),
        (Headroom(4, 16, None, "above", NONE),
         "12 more than 4 edges keep it (not confirmed); no number up to 16 was found that does not"),
        (Headroom(4, 4, None, "above", NONE, limit="edges.cell.count: too many"),
         "0 more than 4 edges keep it; no number up to 4 was found that does not, and more there may not be: "
         "edges.cell.count: too many"),
    ],
)  # fmt: skip
def test_how_many_more_edges_keep_it_and_how_surely_the_next_do_not(headroom: Headroom, words: str) -> None:
    said = list(capacity_lines(answer_of(replace(FOUND, headroom=headroom))))
    assert f"how many more edges until it breaks: {words}" in said


@pytest.mark.parametrize(
    ("replicas", "less", "headroom", "words"),
    [
        (3, replace(TRIED, side="below", blame=Blame("uplink", 0.0)), Headroom(4, 5, 6, "below", LATE),
         "the uplinks: requests wait for them, or cross too slowly"),
        (1, None, Headroom(4, 16, None, "above", NONE),
         "nothing: 1 replica is the least that there may be, and 16 edges keep it, too (not confirmed)"),
        (2, None, Headroom(4, 4, 5, "open", NONE),
         "nothing: 2 replicas are the least that there may be, and of more edges it is too near to tell"),
        (2, None, Headroom(4, 4, 5, "below", Blame("edge", 0.0)),
         "the edges' compute: prefixes take too long, with more edges; 2 replicas are the least that there may be"),
        (2, replace(TRIED, side="open"), Headroom(4, 16, None, "above", NONE),
         "nothing that was seen: one replica less is too near to tell, and 16 edges keep it, too (not confirmed)"),
        (2, replace(TRIED, side="open", blame=LATE), Headroom(4, 16, None, "above", NONE),
         "nothing that was seen: one replica less is too near to tell, and 16 edges keep it, too (not confirmed)"),
        (2, replace(TRIED, side="open"), Headroom(4, 4, 5, "below", Blame("edge", 0.0)),
         "the edges' compute: prefixes take too long, with more edges; one replica less is too near to tell"),
    ],
)  # fmt: skip
def test_what_binds_is_a_sentence_also_where_nothing_does(
    replicas: int, less: Tried | None, headroom: Headroom, words: str
) -> None:
    found = replace(FOUND, replicas=replicas, less=less, headroom=headroom)
    assert f"what binds: {words}" in list(capacity_lines(answer_of(found)))


def test_what_whole_runs_say_is_told_apart_and_drawn_in_place_of_what_the_search_saw() -> None:
    refuted = replace(TRIED, replicas=1, side="below", share=Estimate(0.5), blame=LATE, whole=True)
    answer = replace(
        answer_of(replace(FOUND, less=refuted)),
        tried=(replace(TRIED, replicas=1), TRIED, refuted, replace(TRIED, whole=True)),
    )
    said = list(capacity_lines(answer))
    assert "  99.00% [98.00%, 100.00%] in time when it was clear; 99.00% [98.00%, 100.00%] in whole runs" in said
    assert f"one replica less: 50.00% in time in whole runs, no: {WAITED}" in said
    rows = [re.split(r"  +", line)[:4] for line in said if line.startswith("as the scenario says")]
    assert [row[0] for row in rows] == 2 * ["as the scenario says"] + 2 * ["as the scenario says, in whole runs"]
    assert rows[2] == ["as the scenario says, in whole runs", "1", "50.00%", "no"]
    drawn = fromstring(fleet_picture(answer))
    assert len([one for one in drawn.iter() if one.tag.endswith("circle") and one.get("r") == "4"]) == 2


@pytest.mark.parametrize(
    ("worst", "words"),
    [
        (WorstGroup("client", "till", 90, Estimate(0.45, 0.4, 0.5)),
         "  the worst served, client till: 45.00% [40.00%, 50.00%] in time, BELOW what is promised of all together"),
        (WorstGroup("class", "", 90, Estimate(0.95)), "  the worst served, class of none: 95.00% in time"),
    ],
)  # fmt: skip
def test_whom_a_promise_about_all_leaves_out_is_named(worst: WorstGroup, words: str) -> None:
    assert words in list(capacity_lines(answer_of(replace(FOUND, worst=worst))))


def test_kinds_of_which_none_keeps_it_are_told_from_those_that_would_be_dearer() -> None:
    considered = (
        Considered("small", 2, 2.0), Considered("weak", None, None), Considered("large", None, None, cheaper_only=True)
    )  # fmt: skip
    said = list(capacity_lines(replace(answer_of(FOUND), considered=considered)))
    rows = [re.split(r"  +", line) for line in said if line.startswith(("small  ", "weak", "large"))]
    assert rows == [
        ["small", "2", "2"],
        ["weak", "none that may be", "-"],
        ["large", "none that would be cheaper", "-"],
    ]


def test_other_worlds_that_may_not_be_are_told_with_why() -> None:
    found = replace(FOUND, left_out=("load doubled: clients.idle.count: too many",))
    assert "left out, load doubled: clients.idle.count: too many" in list(capacity_lines(answer_of(found)))


@pytest.mark.parametrize(
    ("blame", "words"),
    [
        (Blame("cloud_queue", 0.5, refused=True), f"{WAITED}; most of what is late was not let in"),
        (Blame("refused", 0.0, refused=True),
         "the edges' admission: no wait stands out; most of what is late was not let in"),
    ],
)  # fmt: skip
def test_what_is_late_as_it_was_not_let_in_is_told_with_what_it_would_have_waited_for(blame: Blame, words: str) -> None:
    assert blame_words(blame) == words


def test_json_holds_what_binds(scenario: Path) -> None:
    done = CliRunner().invoke(app, ["capacity", str(scenario), "--json"])
    found = json.loads(done.stdout)["found"]
    assert found["binding"] == found["less"]["blame"]
    assert found["binding"]["stage"] == "cloud_queue"


def test_no_fleet_that_will_do_is_a_failure_and_json_holds_no_infinity(scenario: Path) -> None:
    words = ["capacity", str(scenario), "--set", "slo.within=50ms", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert json.loads(done.stdout)["found"] is None


def test_a_picture_that_cannot_be_written_costs_no_search(scenario: Path) -> None:
    full = "/dev/full"  # may be opened, and then takes nothing
    words = ["--set", "slo.within=50ms", "--set", "capacity.replicas.most=1", "--picture", full]
    done = CliRunner().invoke(app, ["capacity", str(scenario), *words])
    assert "no fleet that may be keeps it" in done.stdout
    assert str(done.exception).startswith("--picture: cannot be written")


def test_too_few_requests_to_be_sure_are_not_taken_for_too_few_replicas() -> None:
    tried = Tried("as the scenario says", 6, "open", Estimate(1.0, 0.99, 1.0, 300, "exact"), NONE, 300)
    assert "too few requests to tell: set a longer duration" in "\n".join(capacity_lines(answer_of(None, tried)))
