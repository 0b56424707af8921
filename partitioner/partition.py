"""The best plan of a model for two devices and a link, and the plans to compare it with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from isthmus.errors import InfeasibleCut, InvalidPlan
from partitioner.accuracy_rule import TAKEN_OUT, AccuracyRule
from partitioner.bounded_search import SearchResult
from partitioner.codec_choice import FILE_CODEC
from partitioner.constrained_choice import ConstrainedChoice, NothingInTime
from partitioner.constraints import Constraints
from partitioner.cost_model import Costing, ModelCosts, ModelFacts, model_costs
from partitioner.measured_choice import best_by_halves
from partitioner.measured_halves import has_measured_halves
from partitioner.objectives import Objective, objective_for
from partitioner.parametric_model import ParametricModel, parametric_model
from partitioner.parametric_problem import CutChoice, ParametricProblem
from partitioner.plan import Plan
from partitioner.plan_making import chosen_crossing, make_plan, quickest_crossing
from partitioner.refusal import Rules, refusal
from partitioner.request_bytes import request_bytes
from partitioner.setting import Setting

__all__ = [
    "BestPlan",
    "Setting",
    "best_choice",
    "best_plan",
    "gap_words",
    "partition_graph",
    "plan_for_cut",
    "plan_of_choice",
    "plans_to_compare",
    "why_infeasible",
]


@dataclass(frozen=True, slots=True)
class BestPlan:
    """The plan, its value under the objective (in `unit`), and how much better the best could be (0.0: proven best).

    Where halves of the model's cuts were measured, the value of a linear objective is by them, and the plan the best of
    some candidates (`measured_choice`); the gap is of the best by op times in any case. setting: where and under which
    rules it is that.
    """

    plan: Plan
    value: float
    unit: str
    gap: float
    setting: Setting


def partition_graph(model: ModelFacts, setting: Setting, objective: str | Mapping[str, float] = "latency") -> Plan:
    """The plan of `best_plan`. `model` is a `Model` or anything with its name, digest, graph and interface.

    objective: see `objective_for`. Raises InfeasibleCut when the rules forbid every cut, InvalidInput for an unknown
    objective.
    """
    return best_plan(model, setting, objective).plan


def best_plan(
    model: ModelFacts,
    setting: Setting,
    objective: str | Mapping[str, float] = "latency",
    is_over: Callable[[], bool] = lambda: False,
) -> BestPlan:
    """The best plan found before `is_over` says so; it is asked now and then where a minimum cut does not decide.

    The plan's provenance names the objective and the gap. Raises InfeasibleCut with the smallest reason in one line,
    InvalidInput for an unknown objective.
    """
    wanted = objective_for(objective, setting)
    found = best_choice(model, setting, wanted, is_over)
    assert found.choice is not None
    choice, value = found.choice, found.value
    gap = gap_words(found.gap, setting.costing.budget)
    if has_measured_halves(model, setting):
        if len(wanted.stages) == 1:
            measured = best_by_halves(model, setting, wanted, choice, is_over)
            choice, value, gap = measured.choice, measured.value, measured.gap_words(gap)
        else:
            gap = f"{gap} by op times"
    plan = plan_of_choice(model, setting, choice)
    facts = {"objective": wanted.words(value), "gap": gap}
    plan = replace(plan, provenance={**plan.provenance, **facts})
    return BestPlan(plan, value, wanted.unit, found.gap, setting)


def best_choice(model: ModelFacts, setting: Setting, objective: Objective, is_over: Callable[[], bool]) -> SearchResult:
    """The best choice by op times. There is one: raises InfeasibleCut as `best_plan` does."""
    parametric = _costed(model, setting)
    cuts = ConstrainedChoice(parametric.problem, model.graph, setting.costing.constraints, setting.costing.batch)
    try:
        found = cuts.best(objective, is_over)
    except InfeasibleCut:
        raise why_infeasible(model, setting, is_over) from None
    if found.choice is None:
        raise NothingInTime() if found.bound < math.inf else why_infeasible(model, setting, is_over)
    return found


def why_infeasible(model: ModelFacts, setting: Setting, is_over: Callable[[], bool]) -> InfeasibleCut:
    """The error for a model of which no plan keeps to the rules of `setting`: the smallest reason."""
    return refusal(_rules(model, setting), is_over)


def plan_of_choice(model: ModelFacts, setting: Setting, choice: CutChoice) -> Plan:
    """The plan of a choice of the cut problem, with its prediction on the setting's link."""
    costs = _costs(model, setting)
    return make_plan(model, setting, costs, choice.edge_ops, chosen_crossing(model, costs, choice))


def gap_words(gap: float, budget: AccuracyRule | None) -> str:
    """A gap as a reader needs it: under an accuracy budget codecs that nobody measured were never looked at, nor one
    that was taken out for a whole plan's sake."""
    if budget is not None and budget.pruned:
        said = "0" if gap == 0.0 else f"up to {gap:.2%} better may exist"
        return f"{said} of the codecs left (not proven best of those measured: {TAKEN_OUT})"
    said = "0, proven best" if gap == 0.0 else f"up to {gap:.2%} better may exist"
    return said if budget is None else f"{said} of the codecs measured"


def _rules(model: ModelFacts, setting: Setting) -> Rules:
    """The rules apart from the problem, to be tried one by one."""
    costing = setting.costing
    budget = costing.budget
    return Rules(
        _bare_problem(model, setting, replace(costing, accuracy=None)),
        model.graph,
        costing.constraints,
        costing.batch,
        secret=_costed(model, setting).costs.private,
        cloud_required=model.interface.autonomy == "cloud-required",
        measured=None if budget is None else _bare_problem(model, setting, costing),
        budget="" if budget is None else budget.words,
    )


def _bare_problem(model: ModelFacts, setting: Setting, costing: Costing) -> ParametricProblem:
    """With the codecs that `costing` allows, and nothing else that it forbids."""
    made = parametric_model(model, setting.edge, setting.cloud, replace(costing, private_input=False))
    return replace(made.problem, cloud_required=False)


def plan_for_cut(
    model: ModelFacts, setting: Setting, edge_ops: Iterable[str], codecs: Mapping[str, str] | None = None
) -> Plan:
    """The plan of a given cut, whatever it costs.

    codecs: the codec of a tensor where it is not to be the quickest allowed one; "file" for an input whose file is to
    cross as it arrived. Raises InvalidPlan for a set that is no cut and for a codec that cannot carry the tensor.
    """
    forced = dict(codecs or {})
    costs = _costs(model, setting)
    files = [name for name, codec in forced.items() if codec == FILE_CODEC]
    strangers = set(files) - set(costs.file_inputs)
    if strangers:
        raise InvalidPlan("codecs", 'only an input of the "bytes" form crosses as a file', value=sorted(strangers))
    edge = model.graph.check_closed(edge_ops)
    if set(codecs or {}) - set(model.graph.boundary(edge)):
        raise InvalidPlan("codecs", "names a tensor that does not cross", value=sorted(forced))
    return _quickest_plan(model, setting, costs, costs.with_preprocessing(edge, files), forced)


def plans_to_compare(model: ModelFacts, setting: Setting) -> tuple[Plan, ...]:
    """Edge-only, then cloud-only: with the tensor, and for the "bytes" form with the file and each picture codec that
    every file input can take here.

    What the rules forbid is left out.
    """
    rules, problem = setting.costing.constraints, _costed(model, setting).problem
    cuts = ConstrainedChoice(problem, model.graph, rules, setting.costing.batch)
    everything = [op.name for op in model.graph.ops]
    plans = [] if model.interface.autonomy == "cloud-required" else [plan_for_cut(model, setting, everything)]
    if not setting.costing.private_input:
        plans.extend(_cloud_only(model, setting))
    return tuple(plan for plan in plans if cuts.admits(frozenset(plan.edge_ops), _wire_bytes(model, setting, plan)))


def _cloud_only(model: ModelFacts, setting: Setting) -> Iterator[Plan]:
    files = {s.name for s in model.interface.inputs if s.preprocessing is not None}
    crossing = [name for name in model.graph.boundary(()) if name in files and setting.costing.form == "bytes"]
    pictures = dict.fromkeys(size.codec for size in setting.costing.codecs if size.applies_to == "picture")
    yield _cloud_only_as_tensors(model, _without_pictures(setting))
    if not crossing:
        return
    quotes = _costs(model, setting).uplink
    open_to = [{quote.size.codec for quote in quotes[name]} for name in crossing]
    encodings = [FILE_CODEC, *(codec for codec in pictures if all(codec in able for able in open_to))]
    yield from (plan_for_cut(model, setting, (), dict.fromkeys(crossing, codec)) for codec in encodings)


def _cloud_only_as_tensors(model: ModelFacts, setting: Setting) -> Plan:
    """In the quickest codecs that keep to the limit on wire bytes; in the quickest of all where none do."""
    limit = setting.costing.constraints.wire_bytes
    if limit == math.inf:
        return plan_for_cut(model, setting, ())
    everything = frozenset(op.name for op in model.graph.ops)
    rules = Constraints(cloud_ops=everything, wire_bytes=limit)
    as_tensors = replace(setting, costing=replace(setting.costing, form="tensor", constraints=rules))
    try:
        found = best_choice(model, as_tensors, objective_for("latency", as_tensors), lambda: False)
    except InfeasibleCut:
        return plan_for_cut(model, setting, ())
    assert found.choice is not None
    costs, crossing = _costs(model, setting), chosen_crossing(model, _costs(model, as_tensors), found.choice)
    return make_plan(model, setting, costs, costs.with_preprocessing(()), crossing)


def _wire_bytes(model: ModelFacts, setting: Setting, plan: Plan) -> int:
    return request_bytes((*plan.boundary, *plan.downlink), model.graph, setting.costing.batch)


def _costed(model: ModelFacts, setting: Setting) -> ParametricModel:
    return parametric_model(model, setting.edge, setting.cloud, setting.costing)


def _without_pictures(setting: Setting) -> Setting:
    codecs = tuple(size for size in setting.costing.codecs if size.applies_to != "picture")
    return replace(setting, costing=replace(setting.costing, codecs=codecs))


def _costs(model: ModelFacts, setting: Setting) -> ModelCosts:
    return model_costs(model, setting.edge, setting.cloud, setting.link, setting.costing)


def _quickest_plan(
    model: ModelFacts, setting: Setting, costs: ModelCosts, edge_ops: frozenset[str], forced: Mapping[str, str]
) -> Plan:
    return make_plan(model, setting, costs, edge_ops, quickest_crossing(model, costs, edge_ops, forced))
