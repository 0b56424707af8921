"""The best plan of a model for two devices and a link, and the plans to compare it with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from isthmus.errors import InfeasibleCut, InvalidInput, InvalidPlan
from partitioner.cost_model import ModelCosts, ModelFacts, model_costs
from partitioner.cut_problem import CutProblem, CutSolution, OpCost
from partitioner.min_cut import solve
from partitioner.plan import Plan
from partitioner.plan_making import make_plan, quickest_crossing
from partitioner.setting import Setting

__all__ = ["Setting", "partition_graph", "plan_for_cut", "plans_to_compare"]

_FILE_CODEC = "file"


def partition_graph(model: ModelFacts, setting: Setting, objective: str = "latency") -> Plan:
    """The plan of least latency. `model` is a `Model` or anything with its name, digest, graph and interface.

    Raises InfeasibleCut when the rules forbid every cut, InvalidInput for an unknown objective.
    """
    if objective != "latency":
        raise InvalidInput("objective", "is not known", value=objective, remedy='use "latency"')
    costs = _costs(model, setting)
    solution = _solve(model, costs.problem)
    return _quickest_plan(model, setting, costs, solution.edge_ops, {})


def plan_for_cut(
    model: ModelFacts, setting: Setting, edge_ops: Iterable[str], codecs: Mapping[str, str] | None = None
) -> Plan:
    """The plan of a given cut, whatever it costs.

    codecs: the codec of a tensor where it is not to be the quickest allowed one; "file" for an input whose file is to
    cross as it arrived. Raises InvalidPlan for a set that is no cut and for a codec that cannot carry the tensor.
    """
    forced = dict(codecs or {})
    costs = _costs(model, setting)
    files = [name for name, codec in forced.items() if codec == _FILE_CODEC]
    strangers = set(files) - set(costs.file_inputs)
    if strangers:
        raise InvalidPlan("codecs", 'only an input of the "bytes" form crosses as a file', value=sorted(strangers))
    edge = model.graph.check_closed(edge_ops)
    if set(codecs or {}) - set(model.graph.boundary(edge)):
        raise InvalidPlan("codecs", "names a tensor that does not cross", value=sorted(forced))
    return _quickest_plan(model, setting, costs, costs.with_preprocessing(edge, files), forced)


def plans_to_compare(model: ModelFacts, setting: Setting) -> tuple[Plan, ...]:
    """Edge-only, then cloud-only: with the tensor, and for the "bytes" form with the file and each picture codec.

    What the rules forbid is left out.
    """
    everything = [op.name for op in model.graph.ops]
    plans = [] if model.interface.autonomy == "cloud-required" else [plan_for_cut(model, setting, everything)]
    if setting.costing.private_input:
        return tuple(plans)
    files = {s.name for s in model.interface.inputs if s.preprocessing is not None}
    crossing = [name for name in model.graph.boundary(()) if name in files and setting.costing.form == "bytes"]
    pictures = [size.codec for size in setting.costing.codecs if size.applies_to == "picture"]
    plans.append(plan_for_cut(model, _without_pictures(setting), ()))
    encodings = [codec for codec in (_FILE_CODEC, *pictures) if crossing and _has_rates(setting, codec)]
    plans.extend(plan_for_cut(model, setting, (), dict.fromkeys(crossing, codec)) for codec in encodings)
    return tuple(plans)


def _has_rates(setting: Setting, codec: str) -> bool:
    rated = setting.edge.codec_rates.keys() & setting.cloud.codec_rates.keys()
    return codec == _FILE_CODEC or codec in rated


def _without_pictures(setting: Setting) -> Setting:
    codecs = tuple(size for size in setting.costing.codecs if size.applies_to != "picture")
    return replace(setting, costing=replace(setting.costing, codecs=codecs))


def _costs(model: ModelFacts, setting: Setting) -> ModelCosts:
    return model_costs(model, setting.edge, setting.cloud, setting.link, setting.costing)


def _solve(model: ModelFacts, problem: CutProblem) -> CutSolution:
    """The best cut; where the edge may not hold the whole model, the best that runs some last op in the cloud.

    Every cut but edge-only has an op without consumers in the cloud, so one solve for each such op covers them all.
    """
    if model.interface.autonomy == "full":
        return solve(problem)
    read = {op for tensor in problem.tensors if tensor.consumers for op in (tensor.producer,)}
    last = [op.name for op in problem.ops if op.name not in read]
    solutions = [s for s in (_solve_without(problem, name) for name in last) if s is not None]
    if not solutions:
        raise InfeasibleCut(remedy="the model requires the cloud: relax privacy or what else forbids it")
    return min(solutions, key=lambda solution: solution.total_s)


def _solve_without(problem: CutProblem, cloud_op: str) -> CutSolution | None:
    ops = [OpCost(op.name, math.inf, op.cloud_s) if op.name == cloud_op else op for op in problem.ops]
    try:
        return solve(replace(problem, ops=ops))
    except InfeasibleCut:
        return None


def _quickest_plan(
    model: ModelFacts, setting: Setting, costs: ModelCosts, edge_ops: frozenset[str], forced: Mapping[str, str]
) -> Plan:
    return make_plan(model, setting, costs, edge_ops, quickest_crossing(model, costs, edge_ops, forced))
