"""A simulation's answers on the terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from rich.console import Console

from isthmus.cli.summary_tables import summary_tables
from simulations.answers import Estimate, Prices, Slo, Summary, summary
from simulations.answers.energy import EnergyAnswer
from tests.simulations.runs import made_runs


def written(answers: Summary) -> str:
    into = io.StringIO()
    for one in summary_tables(answers):
        Console(file=into, width=160).print(one)
    return into.getvalue()


def test_every_answer_stands_there_with_its_error() -> None:
    answers = summary(made_runs(3), Slo(0.3, 0.95), Prices("EUR", {"any": 0.001}))
    said = written(answers)
    heads = (
        "p99.9",
        "of those let in",
        "without an answer",
        "where the time goes",
        "plan ",
        "utilisation",
        "energy ",
        "cost: ",
    )
    assert [head for head in heads if head not in said] == []
    assert f"± {1e3 * answers.all.times_s['p50'].half_width:.3g} ms" in said
    assert "refused: shed" in said
    assert "split after <stem>" in said
    assert answers.method.split(". ")[0] in said


def test_a_group_of_edges_without_power_is_named_where_others_have_it() -> None:
    answers, unknown = summary(made_runs(2)), EnergyAnswer("edge", "van", None, None)
    assert "The energy of replica gpu, edge van is not known" in written(
        replace(answers, energy=(*answers.energy, unknown))
    )
    assert "nergy" not in written(replace(answers, energy=(unknown,)))


def test_energy_of_replicas_has_a_row_of_its_own() -> None:
    drawn = EnergyAnswer("replica", "cloud", Estimate(123.4), Estimate(0.5))
    text = written(replace(summary(made_runs(2)), energy=(drawn,)))
    assert re.search(r"replica cloud +123 W +0\.5 J", text)
