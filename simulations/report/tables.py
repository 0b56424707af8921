"""The numbers of the page, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isthmus.page.html import paragraph, swatch, table
from isthmus.units import format_duration
from simulations.answers.energy import without_power
from simulations.answers.groups import QUANTILES
from simulations.answers.interval import Estimate
from simulations.answers.summary import Summary
from simulations.report.bars import STAGE_PARTS, percent, used_stages
from simulations.report.distribution_plot import group_title
from simulations.report.plan_labels import PlanLabel
from simulations.run_record import WITHOUT_ANSWER

__all__ = ["cost_table", "energy_table", "groups_tables", "joules", "plans_table", "said", "stages_table", "watts"]

joules, watts = "{:.3g} J".format, "{:.3g} W".format


def said(found: Estimate | None, write: Callable[[float], str]) -> str:
    """ "30 ms [28, 33]", where units differ "1 s [999 ms, 1.2 s]"; without an interval the value alone, "-" where
    there is none."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return write(found.value)
    value, low, high = write(found.value), write(found.low), write(found.high)
    units = {one.partition(" ")[2] for one in (value, low, high)}
    if len(units) == 1:
        low, high = low.partition(" ")[0], high.partition(" ")[0]
    return f"{value} [{low}, {high}]"


def groups_tables(answers: Summary) -> str:
    """Times, then outcomes, of every group."""
    names = ("mean", *QUANTILES)
    times = table(
        f"Times of answered requests, with {answers.confidence:.0%} intervals",
        ("", "requests", *names),
        [
            (
                group_title(one.kind, one.name),
                f"{one.n:,}",
                *(said(one.times_s.get(name), format_duration) for name in names),
            )
            for one in answers.groups
        ],
    )
    promise = "kept" if answers.slo else "in time"
    outcomes = table(
        "What became of them. A request that was refused, dropped or failed kept nothing.",
        (
            "",
            f"{promise}, of all",
            f"{promise}, of those let in",
            "answers a second",
            "finished on the edge",
            "no answer",
        ),
        [
            (
                group_title(one.kind, one.name),
                said(one.kept_of_all, percent),
                said(one.kept_of_admitted, percent),
                said(one.answered_per_s, "{:.4g}".format),
                percent(one.outcomes["resumed"].value) if "resumed" in one.outcomes else "-",
                percent(sum(one.outcomes[kind].value for kind in WITHOUT_ANSWER if kind in one.outcomes)),
            )
            for one in answers.groups
        ],
    )
    return times + outcomes


def plans_table(answers: Summary, labels: Mapping[str, PlanLabel]) -> str:
    """Every plan that ran."""
    return table(
        "Plans that ran",
        ("", "plan", "model", "share of requests", "mean time"),
        [
            (
                swatch(labels[one.plan].code, labels[one.plan].colour),
                one.title,
                one.model,
                said(one.share, percent),
                said(one.mean_s, format_duration),
            )
            for one in answers.plans
        ],
        numbers_from=3,
    )


def stages_table(answers: Summary) -> str:
    """The stages as numbers."""
    return table(
        "Seconds of an answered request in each stage",
        ("", "all answered", "the slowest hundredth"),
        [
            (STAGE_PARTS[one.stage][0], said(one.mean_s, format_duration), said(one.slowest_s, format_duration))
            for one in used_stages(answers)
        ],
    )


def energy_table(answers: Summary) -> str:
    """What edges and replicas took, and whose energy is not known; nothing where none is."""
    known = [one for one in answers.energy if one.watts is not None]
    if not known:
        return ""
    rows = [(one.title, said(one.watts, watts), said(one.per_answer_j, joules)) for one in known]
    missing = without_power(answers.energy)
    made = table("Energy, busy or not", ("", "one of them", "for an answered request"), rows)
    return made + (paragraph(missing) if missing else "")


def cost_table(answers: Summary) -> str:
    """What it cost; nothing without prices."""
    cost = answers.cost
    if cost is None:
        return ""
    write = "{:.4g}".format
    rows = [("an hour of this fleet", said(cost.per_hour, write))]
    rows += [(f"of it {part}", write(value)) for part, value in cost.per_hour_by_part.items() if value > 0]
    rows.append(("a million answered requests", said(cost.per_million, write)))
    source = f" ({cost.source})" if cost.source else ""
    return table(f"Cost{source}", ("", cost.currency or "cost"), rows)
