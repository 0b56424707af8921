"""What a report is made of: pure data, worked out from a model, a setting and the plan that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from isthmus.errors import InfeasibleCut, InvalidInput, InvalidPlan
from nodes.measure.codec_survey import SurveyRow
from partitioner.condition import Condition
from partitioner.cost_model import ModelFacts
from partitioner.frontier import Frontier, frontier_of
from partitioner.measured_halves import has_measured_halves
from partitioner.menu import MOST_CUTS, Menu, menu_of
from partitioner.partition import BestPlan, best_plan, plans_to_compare
from partitioner.plan import InputForm, Plan
from partitioner.setting import Setting

__all__ = ["Chapter", "Report", "chapter_of", "report_of"]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One question about one input form, and its answers.

    plan: the chosen one. others: what it is compared with. frontier, menu: None where `why_none` says why.
    surveyed: the codecs that were measured at the frontier's cuts, none where nobody did. budget: what the plan's
    codecs may lose; None where nobody set one. has_halves: whether halves of cuts were measured whole, by which plans
    are predicted then, and the frontier is not.
    """

    setting: Setting
    plan: Plan
    others: tuple[Plan, ...]
    frontier: Frontier | None
    menu: Menu | None
    why_none: str = ""
    surveyed: tuple[SurveyRow, ...] = ()
    budget: float | None = None
    has_halves: bool = False

    @property
    def condition(self) -> Condition:
        """The link and the loads that were asked about."""
        return self.setting.condition


@dataclass(frozen=True, slots=True)
class Report:
    """A model and a chapter for each input form that was looked at.

    Raises InvalidPlan where a chapter is about another model, InvalidInput where there is none.
    """

    model: ModelFacts
    chapters: tuple[Chapter, ...]

    def __post_init__(self) -> None:
        if not self.chapters:
            raise InvalidInput("report", "needs a chapter at least")
        for chapter in self.chapters:
            if chapter.plan.model_digest != self.model.digest:
                raise InvalidPlan("report", "is about another model than its plan", value=chapter.plan.model)


def chapter_of(model: ModelFacts, setting: Setting, plan: Plan, is_over: Callable[[], bool] = lambda: False) -> Chapter:
    """The chapter about `plan`, with the plans it is compared with, the frontier of `setting` and a fleet's menu.

    Where no frontier was found before `is_over` said so, the chapter says why.
    """
    others, halves = plans_to_compare(model, setting), has_measured_halves(model, setting)
    try:
        frontier = frontier_of(model, setting, is_over)
    except InfeasibleCut as error:
        return Chapter(setting, plan, others, None, None, str(error), has_halves=halves)
    menu = menu_of(frontier, most_cuts=MOST_CUTS)
    return Chapter(setting, plan, others, frontier, menu, has_halves=halves)


def report_of(
    model: ModelFacts,
    setting: Setting,
    plan: Plan,
    surveyed: tuple[SurveyRow, ...] = (),
    budget: float | None = None,
    objective: str | Mapping[str, float] = "latency",
    clock: Callable[[], Callable[[], bool]] = lambda: lambda: False,
    best_of: Callable[[InputForm], BestPlan] | None = None,
) -> Report:
    """The report about `plan`; where requests may bring the other input form too, with the best plan for that one.

    surveyed, budget: see `Chapter`; they go to the first one. objective: what `plan` was chosen for, and what the other
    one is; clock: begins a search's time, and says what ends it, as `best_plan` takes it. best_of: the best plan of a
    form and the setting that holds for all its plans, where more than costs has to be looked at, as an accuracy that
    plans must keep as a whole.
    """
    chapters = [replace(chapter_of(model, setting, plan, clock()), surveyed=surveyed, budget=budget)]
    if any(spec.preprocessing is not None for spec in model.interface.inputs):
        form: InputForm = "tensor" if plan.form == "bytes" else "bytes"
        other = replace(setting, costing=replace(setting.costing, form=form))
        with suppress(InfeasibleCut):  # what forbids every cut of that form says nothing against this one
            best = best_plan(model, other, objective, clock()) if best_of is None else best_of(form)
            chapters.append(chapter_of(model, best.setting, best.plan, clock()))
    return Report(model, tuple(chapters))
