"""The page: whole, well-formed, in need of nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from simulations.answers import Estimate, Prices, Slo, Summary, summary
from simulations.answers.energy import EnergyAnswer
from simulations.report import report_page
from simulations.run_record import RunFacts, RunRecorder
from tests.simulations.runs import made_runs


@pytest.fixture(scope="module")
def answers() -> Summary:
    return summary(made_runs(3), Slo(0.3, 0.95), Prices("EUR", {"any": 0.001}, source="list of June"))


def parsed(answers: Summary) -> ET.Element:
    return ET.fromstring(report_page(answers).partition("\n")[2])


def test_every_part_has_its_picture(answers: Summary) -> None:
    titles = [title.text for title in parsed(answers).iterfind(".//svg/title")]
    assert titles == [
        "Share of requests answered within a time",
        "Times and arrivals over the run",
        "Where the time goes",
        "Plans over the run",
        "Requests without an answer",
        "Utilisation",
        "Queues and replicas over the run",
    ]


def test_it_needs_nothing_from_outside_and_runs_nothing(answers: Summary) -> None:
    page = report_page(answers)
    assert not re.search(r"https?:|<script|<link|<img|url\(|@import| on\w+=", page)


def test_pictures_hold_numbers_only_where_windows_are_empty() -> None:
    for path in parsed(summary(made_runs(1, n=20))).iterfind(".//path"):
        assert not re.search("nan|inf", path.get("d", ""))


def test_names_are_text_and_never_markup(answers: Summary) -> None:
    evil = replace(answers, scenario="<b>shop</b>", notes=("<script>no</script>",))
    page = report_page(evil)
    assert "<b>" not in page
    assert "<script>" not in page
    assert "split after &lt;stem&gt;" in page


def test_the_promise_is_judged_by_the_whole_interval(answers: Summary) -> None:
    found = answers.all.kept_of_all
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    for share, judged in ((found.low, "kept"), ((found.low + found.high) / 2, "too close to tell"), (0.999, "broken")):
        assert f": {judged}.</p>" in report_page(replace(answers, slo=Slo(0.3, share)))


def test_numbers_stand_beside_their_intervals(answers: Summary) -> None:
    cells = [cell.text or "" for cell in parsed(answers).iterfind(".//td")]
    assert sum(bool(re.fullmatch(r"[\d.]+ ms \[[\d.]+, [\d.]+\]", cell)) for cell in cells) >= 10
    assert "list of June" in report_page(answers)


def test_energy_is_told_by_group_and_a_group_without_power_is_named(answers: Summary) -> None:
    unknown = EnergyAnswer("edge", "van", None, None)
    page = report_page(replace(answers, energy=(*answers.energy, unknown)))
    assert "Energy, busy or not" in page
    assert "The energy of replica gpu, edge van is not known" in page
    assert "nergy" not in report_page(replace(answers, energy=(unknown,)))


def test_energy_of_replicas_has_a_row_of_its_own(answers: Summary) -> None:
    drawn = EnergyAnswer("replica", "cloud", Estimate(123.4), None)
    rows = [[cell.text for cell in row] for row in parsed(replace(answers, energy=(drawn,))).iterfind(".//tr")]
    assert ["replica cloud", "123 W", "-"] in rows


def test_a_run_of_nothing_is_a_page_too() -> None:
    empty = summary([RunRecorder().finish(RunFacts("nothing", 1, 10.0))])
    page = parsed(empty)
    assert "Nothing was answered." in [one.text for one in page.iterfind(".//p")]
