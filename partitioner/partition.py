"""The best plan of a model for two devices and a link, and the plans to compare it with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from isthmus.errors import InfeasibleCut, InvalidInput, InvalidPlan
from partitioner.codec_choice import CodecQuote, quickest_codec
from partitioner.cost_model import Costing, ModelCosts, ModelFacts, model_costs
from partitioner.cut_problem import CutProblem, CutSolution, OpCost
from partitioner.link import Link
from partitioner.min_cut import solve
from partitioner.plan import Plan, Prediction, TensorCodec
from partitioner.profiles import DeviceProfile

__all__ = ["Setting", "partition_graph", "plan_for_cut", "plans_to_compare"]

_FILE_CODEC = "file"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a model runs: two measured devices, the link between them, and what is allowed (`costing`)."""

    edge: DeviceProfile
    cloud: DeviceProfile
    link: Link
    costing: Costing = field(default_factory=Costing)


def partition_graph(model: ModelFacts, setting: Setting, objective: str = "latency") -> Plan:
    """The plan of least latency. `model` is a `Model` or anything with its name, digest, graph and interface.

    Raises InfeasibleCut when the rules forbid every cut, InvalidInput for an unknown objective.
    """
    if objective != "latency":
        raise InvalidInput("objective", "is not known", value=objective, remedy='use "latency"')
    costs = _costs(model, setting)
    solution = _solve(model, costs.problem)
    return _plan(model, setting, costs, solution.edge_ops, {})


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
    return _plan(model, setting, costs, costs.with_preprocessing(edge, files), forced)


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


def _plan(
    model: ModelFacts, setting: Setting, costs: ModelCosts, edge_ops: frozenset[str], forced: Mapping[str, str]
) -> Plan:
    """The plan of a cut of `costs.problem` (pseudo-ops included)."""
    graph, real = model.graph, costs.model_ops(edge_ops)
    files = set(costs.files_crossing(edge_ops))
    boundary = {
        name: _quote(costs.uplink, name, forced) if name not in files else costs.file_quote(name)
        for name in graph.boundary(real)
    }
    outputs = [name for name in dict.fromkeys(graph.outputs) if name not in graph.kept(real)]
    downlink = {name: _quote(costs.downlink, name, {}) for name in outputs}
    return Plan(
        model=model.name,
        model_digest=model.digest,
        form=setting.costing.form,
        edge_ops=tuple(op.name for op in graph.ops if op.name in real),
        boundary=_named(boundary),
        downlink=_named(downlink),
        kept=graph.kept(real),
        edge_engine=setting.edge.engine,
        cloud_engine=setting.cloud.engine,
        predicted=_predict(costs, edge_ops, boundary, downlink),
        provenance=_provenance(model, setting),
    )


def _named(quotes: Mapping[str, CodecQuote]) -> tuple[TensorCodec, ...]:
    return tuple(quote.named(name) for name, quote in quotes.items())


def _quote(quotes: Mapping[str, tuple[CodecQuote, ...]], name: str, forced: Mapping[str, str]) -> CodecQuote:
    if name not in forced:
        return quickest_codec(quotes[name], name)
    for quote in quotes[name]:
        if quote.size.codec == forced[name]:
            return quote
    known = ", ".join(quote.size.codec for quote in quotes[name])
    raise InvalidPlan("codecs", f"{forced[name]!r} cannot carry {name!r} here", remedy=f"use one of: {known}")


def _predict(
    costs: ModelCosts,
    edge_ops: frozenset[str],
    boundary: Mapping[str, CodecQuote],
    downlink: Mapping[str, CodecQuote],
) -> Prediction:
    up, down = tuple(boundary.values()), tuple(downlink.values())
    half_trip_s = costs.problem.fixed_s / 2 if len(edge_ops) < len(costs.problem.ops) else 0.0
    edge_s = [seconds for name, seconds in costs.edge_s.items() if name in edge_ops]
    cloud_s = [seconds for name, seconds in costs.cloud_s.items() if name not in edge_ops]
    return Prediction.of(
        math.fsum((*edge_s, *(quote.encode_s for quote in up))),
        math.fsum((half_trip_s, *(quote.transfer_s for quote in up))),
        math.fsum((*cloud_s, *(quote.decode_s for quote in up), *(quote.encode_s for quote in down))),
        math.fsum((half_trip_s, *(quote.transfer_s + quote.decode_s for quote in down))),
    )


def _provenance(model: ModelFacts, setting: Setting) -> Mapping[str, str]:
    """Where every number of the prediction comes from, one line each."""
    costing = setting.costing
    facts = {
        "edge": _device_line(model, setting.edge),
        "cloud": _device_line(model, setting.cloud),
        "link": str(setting.link),
        "batch": str(costing.batch),
        "accuracy": "lossless" if costing.lossless else "lossy codecs allowed, accuracy not measured",
        **{f"codec {size.codec}": f"ratio {size.ratio:g}, {size.provenance}" for size in costing.codecs},
    }
    if costing.form == "bytes":
        facts["file"] = f"{costing.file.size_bytes} bytes, {costing.file.pixels} pixels expected"
    return facts


def _device_line(model: ModelFacts, device: DeviceProfile) -> str:
    times = "measured op times" if device.has_op_times(model.digest) else "roofline"
    slowed = f", emulated slowdown {device.slowdown:g}x" if device.slowdown != 1.0 else ""
    noisy = ", noisy" if device.provenance.noisy else ""
    ran = f"{device.engine}, {device.threads} threads, {device.provenance.measured_at}"
    return f"{device.name}: {times}, {ran}{slowed}{noisy}"
