"""What a report is made of: pure data, worked out from a model, a setting and the plan that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

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

__all__ = ["Chapter", "Report", "Searches", "chapter_of", "report_of"]


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


class Searches(Protocol):
    """What finds the plans of one form of input, under whatever rules they keep to, as an accuracy of whole plans.

    Raises InfeasibleCut where there is none, or none was found in time.
    """

    @property
    def frontier(self) -> Frontier:
        """All plans that are the best somewhere."""

    @property
    def frontier_setting(self) -> Setting:
        """The setting that holds for all of them."""

    def others(self) -> tuple[Plan, ...]:
        """The plans to compare with."""

    def best(self, objective: str | Mapping[str, float]) -> BestPlan:
        """The best plan."""


@dataclass(frozen=True, slots=True)
class _BareSearches:
    """By costs alone, without a limit of time."""

    model: ModelFacts
    frontier_setting: Setting

    @property
    def frontier(self) -> Frontier:
        return frontier_of(self.model, self.frontier_setting)

    def others(self) -> tuple[Plan, ...]:
        return plans_to_compare(self.model, self.frontier_setting)

    def best(self, objective: str | Mapping[str, float]) -> BestPlan:
        return best_plan(self.model, self.frontier_setting, objective)


def chapter_of(model: ModelFacts, setting: Setting, plan: Plan, searches: Searches | None = None) -> Chapter:
    """The chapter about `plan`, with the plans it is compared with, the frontier and a fleet's menu.

    searches: finds them, by costs alone where it is None. Where there is no frontier, the chapter says why.
    """
    searches = searches or _BareSearches(model, setting)
    others, halves = searches.others(), has_measured_halves(model, setting)
    try:
        frontier = searches.frontier
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
    searches_of: Callable[[InputForm], Searches] | None = None,
) -> Report:
    """The report about `plan`; where requests may bring the other input form too, with the best plan for that one.

    surveyed, budget: see `Chapter`; they go to the first one. objective: what `plan` was chosen for, and what the other
    one is. searches_of: finds the plans of a form; by costs alone where it is None.
    """

    def searches(form: InputForm) -> Searches:
        if searches_of is not None:
            return searches_of(form)
        return _BareSearches(model, replace(setting, costing=replace(setting.costing, form=form)))

    own = chapter_of(model, setting, plan, searches(plan.form))
    chapters = [replace(own, surveyed=surveyed, budget=budget)]
    if any(spec.preprocessing is not None for spec in model.interface.inputs):
        with suppress(InfeasibleCut):  # what forbids every cut of that form says nothing against this one
            other = searches("tensor" if plan.form == "bytes" else "bytes")
            best, there = other.best(objective), other.frontier_setting
            chapters.append(chapter_of(model, there, best.plan, other))
    return Report(model, tuple(chapters))
