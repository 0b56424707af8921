"""The page of a simulation: a self-contained HTML file that needs no script and nothing from outside."""

from __future__ import annotations

from isthmus.page.html import bullets, listing, paragraph, section
from isthmus.page.style import STYLE_SHEET
from isthmus.units import format_duration
from partitioner.svg import escaped
from simulations.answers.summary import Summary
from simulations.report.bars import drops_figure, percent, stages_figure, utilisation_figure
from simulations.report.distribution_plot import distribution_figure
from simulations.report.plan_labels import plan_labels
from simulations.report.tables import cost_table, energy_table, groups_tables, plans_table, stages_table
from simulations.report.time_plots import plans_figure, queues_figure, times_figure
from simulations.report.verdict import verdict

__all__ = ["report_page"]

_PARTS = ".chart .part.edge-queue{fill:#fbe3bf}.chart .part.cloud-queue{fill:#d9eef1}.chart .part.finish{fill:#d8a45c}"


def report_page(answers: Summary) -> str:
    """The page as HTML that is well-formed XML too."""
    title = f"Simulation of {answers.scenario}"
    labels = plan_labels(answers.plans)
    body = [
        f"<h1>{escaped(title)}</h1>\n",
        bullets("warn", answers.notes),
        *(paragraph(line, "answer") for line in verdict(answers)),
        section("How long requests took", distribution_figure(answers), groups_tables(answers), level=2),
        section("Over the run", times_figure(answers), level=2),
        section("Where the time goes", stages_figure(answers), stages_table(answers), level=2),
        section("Plans", plans_figure(answers, labels), plans_table(answers, labels), level=2),
        section("Requests without an answer", drops_figure(answers) or paragraph("None."), level=2),
        section(
            "The fleet",
            utilisation_figure(answers),
            queues_figure(answers),
            energy_table(answers),
            cost_table(answers),
            level=2,
        ),
        section("How it was simulated", listing(_how(answers)), level=2),
    ]
    head = (
        f'<meta charset="utf-8"/><meta name="viewport" content="width=device-width,initial-scale=1"/>'
        f"<title>{escaped(title)}</title><style>{STYLE_SHEET}{_PARTS}</style>"
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{"".join(body)}</body></html>\n'


def _how(answers: Summary) -> list[tuple[str, str]]:
    counted_s = answers.duration_s - answers.warm_up_s
    runs = f"{len(answers.seeds)} of {format_duration(answers.duration_s)}, of which {format_duration(counted_s)} count"
    return [
        ("runs", runs),
        ("seeds", ", ".join(map(str, answers.seeds))),
        ("requests that count", f"{answers.all.n:,}"),
        ("method", answers.method),
        ("promise", _promise(answers)),
    ]


def _promise(answers: Summary) -> str:
    if answers.slo is None:
        return "none; a request's own deadline, where it has one"
    return f"{percent(answers.slo.share)} of all requests answered within {format_duration(answers.slo.within_s)}"
