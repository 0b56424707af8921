"""Planning with what only a process can do: a clock for the search, and measured accuracy for lossy codecs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from isthmus.errors import InvalidProfile
from isthmus.units import format_size
from nodes.codecs.factory import LOSSLESS_CODEC_NAMES, encodes_images
from nodes.engines.allocator import keep_freed_memory
from nodes.measure.accuracy_budget import AccuracyBudget, Judged
from nodes.measure.calibration_items import CalibrationRuns
from nodes.measure.codec_findings import CodecFindings
from nodes.measure.codec_rates import RATED_CODEC_NAMES
from nodes.measure.codec_survey import DEFAULT_BUDGET, SurveyRow, input_survey, survey_of_cut
from nodes.measure.engine_difference import difference_here
from nodes.measure.engine_loss import engine_loss
from nodes.measure.joined_halves import JoinedHalves
from nodes.measure.lossless_sizes import in_form
from nodes.settings import COMPILING_ENGINES
from partitioner.accuracy_rule import AccuracyRule
from partitioner.codec_choice import sizes_allowed
from partitioner.condition import Condition
from partitioner.cost_model import Costing
from partitioner.frontier import Frontier, frontier_of
from partitioner.link import Link
from partitioner.memory import MemoryModel
from partitioner.menu import MOST_CUTS, Domain, menu_of
from partitioner.model import Model, has_judged_items
from partitioner.objectives import objective_for
from partitioner.partition import BestPlan, best_plan, plans_to_compare
from partitioner.plan import InputForm, Plan
from partitioner.plan_costs import plan_value
from partitioner.plan_table import Accuracy, PlanTable
from partitioner.profiled_table import profiled_table
from partitioner.setting import Setting
from partitioner.throughput_frontier import ThroughputFrontier, throughput_frontier
from partitioner.torch_model import TorchModel
from partitioner.unrated_codecs import without_rates

__all__ = ["SEARCH_LIMIT_S", "Planner", "accuracy_line", "time_is_over"]

SEARCH_LIMIT_S = 10.0
_BANDWIDTHS = 34  # from one to the next by a quarter

_Found = TypeVar("_Found")


def time_is_over(limit_s: float) -> Callable[[], bool]:
    """Says whether so many seconds have passed since this call: what a search asks."""
    end = time.monotonic() + limit_s
    return lambda: time.monotonic() >= end


def _usual_conditions(setting: Setting) -> Iterator[Condition]:
    """The conditions to serve, so close that what wins between two of them wins by little."""
    domain, ratio = Domain(), setting.link.downlink_bps / setting.link.uplink_bps
    slowest, fastest = domain.bandwidths_bps
    loads = [(edge, cloud) for edge in domain.edge_loads for cloud in domain.cloud_loads]
    for step in range(_BANDWIDTHS):
        bps = slowest * (fastest / slowest) ** (step / (_BANDWIDTHS - 1))
        link = Link(bps, bps * ratio, setting.link.rtt_s)
        yield from (Condition(link, edge, cloud) for edge, cloud in loads)


@dataclass(frozen=True)
class Planner:
    """Plans of one model. accuracy_budget: the most that lossy codecs may lose, measured on calibration inputs. What
    the profiles' engines lose is taken off it first, measured here where they do not say it and the engine runs here;
    where both sides' break it together, one side runs it all. limit_s: of each search for what no minimum cut decides.
    findings: of the model's codecs, where planners for other devices share them.

    Raises InvalidProfile for a side whose engine cannot run the model. Whatever plans raises InfeasibleCut where each
    side's engine alone breaks the budget.
    """

    model: Model
    given: Setting
    accuracy_budget: float | None = None
    limit_s: float = SEARCH_LIMIT_S
    findings: CodecFindings | None = None

    def __post_init__(self) -> None:
        for side, device in (("edge", self.given.edge), ("cloud", self.given.cloud)):
            if device.engine in COMPILING_ENGINES and not isinstance(self.model, TorchModel):
                problem, remedy = "is of an engine that runs no ONNX model", "profile eager or onnxruntime"
                raise InvalidProfile(f"{side} profile", problem, value=device.engine, remedy=remedy)

    def of_form(self, form: InputForm) -> Planner:
        """For requests that bring the other form of input: under the same rules, with what was measured of codecs."""
        given = replace(self.given, costing=in_form(self.given.costing, form, self.model))
        return replace(self, given=given, findings=self._findings)

    @cached_property
    def frontier(self) -> Frontier:
        """The frontier, all of whose plans keep to the budget, under which their provenance says what they lose."""
        found = self._judged_frontier.found
        return replace(found, plans=tuple(replace(one, plan=self._told(one.plan)) for one in found.plans))

    def throughput_frontier(self) -> ThroughputFrontier:
        """The frontier for throughput; all its plans keep to the budget, under which their provenance says what they
        lose."""

        def solve(setting: Setting) -> ThroughputFrontier:
            return throughput_frontier(self.model, setting, time_is_over(self.limit_s))

        found = self._judged(solve, lambda found: [entry.plan for entry in found.plans]).found
        return replace(found, plans=tuple(replace(one, plan=self._told(one.plan)) for one in found.plans))

    def agreement(self, plan: Plan) -> float | None:
        """What a plan keeps of the model's answers, as measured on calibration inputs, 1.0 where it is lossless; None
        without a budget."""
        if self._budget is None:
            return None
        found = self._budget.accuracy(plan)
        return 1.0 if found is None else found.value

    @property
    def frontier_setting(self) -> Setting:
        """The setting with the codecs that the frontier's plans may use, as measured where they win somewhere usual."""
        return self.given if self._budget is None else replace(self.given, costing=self._judged_frontier.costing)

    @cached_property
    def _judged_frontier(self) -> Judged[Frontier]:
        def usual_plans(setting: Setting) -> list[Plan]:
            frontier = self._frontier_of(setting)
            winners = (frontier.best(condition).plan for condition in _usual_conditions(setting))
            return list({plan.plan_id: plan for plan in winners}.values())

        return self._judged(self._frontier_of, lambda found: [entry.plan for entry in found.plans], usual_plans)

    def _frontier_of(self, setting: Setting) -> Frontier:
        return frontier_of(self.model, setting, time_is_over(self.limit_s))

    def others(self, objective: str | Mapping[str, float] = "latency") -> tuple[Plan, ...]:
        """Edge-only and cloud-only, to compare with; under a budget all of them keep to it, as measured. Their
        provenance says what they are worth by `objective`."""

        def solve(setting: Setting) -> tuple[Plan, ...]:
            return plans_to_compare(self.model, setting)

        judged = self._judged(solve, lambda found: found)
        setting, wanted = replace(self.given, costing=judged.costing), objective_for(objective, self.given)
        values = [wanted.words(plan_value(self.model, setting, plan, wanted)) for plan in judged.found]
        return tuple(
            replace(plan, provenance={**plan.provenance, "objective": said})
            for plan, said in zip(judged.found, values, strict=True)
        )

    def best(self, objective: str | Mapping[str, float]) -> BestPlan:
        """The best plan found in the time. Its provenance says what it loses, under a budget as measured."""

        def solve(setting: Setting) -> BestPlan:
            return best_plan(self.model, setting, objective, time_is_over(self.limit_s))

        best = self._judged(solve, lambda found: [found.plan]).found
        plan = self._with_engines(best.plan) if self._budget is None else self._with_accuracy(best.plan, self._budget)
        more = {"codecs left out": self.unrated_codecs(), "to finish alone": self.memory_line()}
        said = {key: words for key, words in more.items() if words}
        return replace(best, plan=replace(plan, provenance={**plan.provenance, **said}))

    @property
    def codec_budget(self) -> float | None:
        """What the engines leave of the accuracy budget; None without one."""
        return None if self._budget is None else self._budget.left

    @property
    def accuracy_rule(self) -> AccuracyRule | None:
        """The accuracy budget as the planning before this call left it; None without one."""
        return None if self._budget is None else self._budget.rule

    def unrated_codecs(self) -> str:
        """The codecs that plans go without because a side has no rate of them, in words; "" where it is none."""
        costing, has_files = self.given.costing, self.given.costing.form == "bytes"
        sizes = sizes_allowed(costing.codecs, lossless=costing.lossless or self.accuracy_budget is not None)
        names = {size.codec for size in sizes if has_files or size.applies_to != "picture"}
        if self.accuracy_budget is not None and has_judged_items(self.model):
            lossy = set(RATED_CODEC_NAMES) - set(LOSSLESS_CODEC_NAMES)
            names |= {name for name in lossy if has_files or not encodes_images(name)}
        ordered = [name for name in RATED_CODEC_NAMES if name in names]
        return without_rates(ordered, self.given.edge, self.given.cloud)

    def memory_line(self) -> str:
        """What an edge needs that can also finish alone, where that is more than the limit on what a cut takes of it;
        "" where it is not, and for a model that requires the cloud."""
        costing, graph = self.given.costing, self.model.graph
        alone = MemoryModel(graph, costing.batch).edge(frozenset(op.name for op in graph.ops))
        limit = costing.constraints.edge_memory_bytes
        if alone <= limit or self.model.interface.autonomy == "cloud-required":
            return ""
        said = f"an edge needs {format_size(alone)}, with all parameters (autonomy: full)"
        return f"{said}; the limit of {format_size(limit)} is for the ops of a cut"

    def budget_line(self) -> str:
        """What the planning before this call made of the accuracy budget, in words; "" without one."""
        return "" if self._budget is None else f"{self._budget.words} {self._budget.why_unused}".rstrip()

    def table(self) -> PlanTable:
        """Few plans that are nearly as good as the whole frontier anywhere, and those to compare with, with their costs
        by the profiles: what a simulation of a fleet goes by. The model runs a few times, for whether its items mix."""
        frontier, setting = self.frontier, self.frontier_setting
        cuts = menu_of(frontier, most_cuts=MOST_CUTS).cuts
        menu = (entry.plan for cut in cuts for entry in cut.plans)
        plans = {plan.plan_id: plan for plan in (*self.others(), *menu)}
        accuracies = (None if self._budget is None else self._budget.accuracy(plan) for plan in plans.values())
        joins = JoinedHalves(self.model).joins
        return profiled_table(self.model, setting, zip(plans.values(), accuracies, strict=True), joins)

    def cuts_to_survey(self) -> tuple[tuple[str, ...], ...]:
        """The edge ops of every cut of the frontier that sends something; none without inputs to judge by."""
        cuts = dict.fromkeys(entry.plan.edge_ops for entry in self.frontier.plans)
        every = len(self.model.graph.ops)
        return tuple(cut for cut in cuts if len(cut) < every) if has_judged_items(self.model) else ()

    def survey(self, cuts: Iterable[tuple[str, ...]]) -> Iterator[SurveyRow]:
        """Every codec at each of these cuts, and where nothing is on the edge the input as pictures.

        Takes some ten seconds a cut, most of them for calibrating a transform.
        """
        keep_freed_memory()
        runs: CalibrationRuns | None = None
        budget = DEFAULT_BUDGET if self.codec_budget is None else self.codec_budget
        for cut in cuts:
            runs = runs or CalibrationRuns(self.model)
            yield from survey_of_cut(runs, cut, budget)
            if not cut:
                yield from input_survey(runs)

    @cached_property
    def _budget(self) -> AccuracyBudget | None:
        if self.accuracy_budget is None:
            return None
        keep_freed_memory()  # a third of what the many runs of measuring an accuracy take
        engines = engine_loss(self.model, self.given.edge, self.given.cloud, difference_here)
        return AccuracyBudget(self.model, self.accuracy_budget, engines, self._findings)

    @cached_property
    def _findings(self) -> CodecFindings | None:
        """None where nothing can be measured."""
        if self.accuracy_budget is None or not has_judged_items(self.model):
            return None
        return self.findings or CodecFindings(self.model)

    def _judged(
        self,
        solve: Callable[[Setting], _Found],
        plans_of: Callable[[_Found], Sequence[Plan]],
        nominate: Callable[[Setting], Sequence[Plan]] | None = None,
    ) -> Judged[_Found]:
        """What `solve` found under the budget, the very plans that were judged; see `AccuracyBudget.keep`."""
        given, budget = self.given, self._budget
        if budget is None:
            return Judged(given.costing, solve(given))

        def found(costing: Costing) -> _Found:
            return solve(replace(given, costing=costing))

        if nominate is None:
            return budget.keep(given.costing, found, plans_of)
        return budget.keep(given.costing, found, plans_of, lambda costing: nominate(replace(given, costing=costing)))

    def _with_engines(self, plan: Plan) -> Plan:
        """With what the engines of the sides that compute lose, as the profiles say."""
        devices = {"edge-only": (self.given.edge,), "cloud-only": (self.given.cloud,)}
        used = devices.get(plan.kind, (self.given.edge, self.given.cloud))
        words = engine_loss(self.model, used[0], used[-1]).words
        if not words:
            return plan
        codecs = plan.provenance["accuracy"].replace("lossless", "codecs lossless")
        return replace(plan, provenance={**plan.provenance, "accuracy": f"{codecs}; {words}"})

    def _told(self, plan: Plan) -> Plan:
        """With what it loses, where there is a budget."""
        return plan if self._budget is None else self._with_accuracy(plan, self._budget)

    def _with_accuracy(self, plan: Plan, budget: AccuracyBudget) -> Plan:
        found = budget.accuracy(plan)
        said = "lossless" if found is None else accuracy_line(found, len(self.model.interface.outputs))
        return replace(plan, provenance={**plan.provenance, "accuracy": f"{said}; {self.budget_line()}"})


def accuracy_line(found: Accuracy, outputs: int) -> str:
    """An accuracy in words: what was measured, how sure it is, on how much, and by which of several outputs."""
    metric = found.metric.replace("_", " ")
    judged = f", the first of {outputs} outputs alone" if outputs > 1 else ""
    return f"{metric} {found.value:.4f} [{found.low:.4f}, {found.high:.4f}] on {found.n} calibration items{judged}"
