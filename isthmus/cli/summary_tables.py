"""What a simulation says, as lines and tables of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from isthmus.cli.plain_table import plain_table
from isthmus.units import format_duration
from simulations.answers.energy import without_power
from simulations.answers.groups import QUANTILES
from simulations.answers.interval import Estimate
from simulations.answers.summary import Summary
from simulations.report.bars import STAGE_PARTS, percent, used_stages
from simulations.report.distribution_plot import group_title
from simulations.report.plan_labels import plan_labels
from simulations.report.tables import joules, said, watts
from simulations.report.verdict import verdict

__all__ = ["summary_tables"]


def summary_tables(answers: Summary) -> Iterator[RenderableType]:
    """What a reader must know, the answer, and its tables."""
    for note in answers.notes:
        yield Text(note, style="yellow")
    for line in verdict(answers):
        yield Text(line, style="bold")
    yield _times(answers)
    yield _outcomes(answers)
    if answers.drops:
        yield _drops(answers)
    if answers.stages:
        yield _stages(answers)
    if answers.plans:
        yield _plans(answers)
    if answers.utilisation:
        yield _utilisation(answers)
    yield from _energy(answers)
    yield from _cost(answers)
    yield Text(answers.method, style="dim")


def _times(answers: Summary) -> Table:
    names = ("mean", *QUANTILES)
    made = plain_table("time of answered requests", "requests", *names)
    for one in answers.groups:
        times = (_with_error(one.times_s.get(name), format_duration) for name in names)
        made.add_row(group_title(one.kind, one.name), f"{one.n:,}", *times)
    return made


def _with_error(found: Estimate | None, write: Callable[[float], str]) -> str:
    """ "30 ms ± 2 ms": half of the interval, which is narrower to read than its ends."""
    if found is None:
        return "-"
    return write(found.value) if found.low is None else f"{write(found.value)} ± {write(found.half_width)}"


def _outcomes(answers: Summary) -> Table:
    made = plain_table("kept in time" if answers.slo else "in time", "of all", "of those let in", "answers a second")
    for one in answers.groups:
        rate = _with_error(one.answered_per_s, "{:.4g}".format)
        made.add_row(
            group_title(one.kind, one.name), said(one.kept_of_all, percent), said(one.kept_of_admitted, percent), rate
        )
    return made


def _drops(answers: Summary) -> Table:
    made = plain_table("without an answer", "requests", "of all")
    for one in answers.drops:
        made.add_row(f"{one.outcome}: {one.reason}".strip(": "), f"{one.n:,}", said(one.share, percent))
    return made


def _stages(answers: Summary) -> Table:
    made = plain_table("where the time goes", "all answered", "the slowest hundredth")
    for one in used_stages(answers):
        mean, slowest = (_with_error(found, format_duration) for found in (one.mean_s, one.slowest_s))
        made.add_row(STAGE_PARTS[one.stage][0], mean, slowest)
    return made


def _plans(answers: Summary) -> Table:
    made, labels = plain_table("plan", "requests", "mean time"), plan_labels(answers.plans)
    for one in answers.plans:
        made.add_row(labels[one.plan].title, said(one.share, percent), _with_error(one.mean_s, format_duration))
    return made


def _utilisation(answers: Summary) -> Table:
    made = plain_table("utilisation", "how many", "busy", "the busiest")
    for one in answers.utilisation:
        made.add_row(f"{one.kind} {one.group}".strip(), f"{one.n:g}", said(one.share, percent), percent(one.busiest))
    return made


def _energy(answers: Summary) -> Iterator[RenderableType]:
    known = [one for one in answers.energy if one.watts is not None]
    if known:
        made = plain_table("energy", "one of them", "for an answer")
        for one in known:
            made.add_row(one.title, _with_error(one.watts, watts), _with_error(one.per_answer_j, joules))
        yield made
    if missing := without_power(answers.energy):
        yield Text(missing)


def _cost(answers: Summary) -> Iterator[RenderableType]:
    if answers.cost is not None:
        cost, write = answers.cost, "{:.4g}".format
        yield Text(
            f"cost: {said(cost.per_hour, write)} {cost.currency} an hour, "
            f"{said(cost.per_million, write)} {cost.currency} for a million answers"
        )
