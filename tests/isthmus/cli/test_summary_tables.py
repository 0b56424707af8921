"""A simulation's answers on the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from isthmus.cli.summary_tables import summary_tables
from simulations.answers import Prices, Slo, summary
from tests.simulations.runs import made_runs


def test_every_answer_stands_there_with_its_error() -> None:
    answers = summary(made_runs(3), Slo(0.3, 0.95), Prices("EUR", {"any": 0.001}))
    written = io.StringIO()
    for one in summary_tables(answers):
        Console(file=written, width=160).print(one)
    said = written.getvalue()
    heads = ("p99.9", "of those let in", "without an answer", "where the time goes", "plan ", "utilisation", "cost: ")
    assert [head for head in heads if head not in said] == []
    assert f"± {1e3 * answers.all.times_s['p50'].half_width:.3g} ms" in said
    assert "refused: shed" in said
    assert "split after <stem>" in said
    assert answers.method.split(". ")[0] in said
