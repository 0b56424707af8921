"""A plan out of a cut: the codec of all that crosses, the predicted time, and where the numbers come from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from isthmus.errors import InvalidPlan
from partitioner.codec_choice import CodecQuote, quickest_codec
from partitioner.cost_model import Costing, ModelCosts, ModelFacts
from partitioner.measured_halves import measured_halves_s
from partitioner.measurements import Half
from partitioner.parametric_problem import CutChoice
from partitioner.plan import Plan, Prediction, TensorCodec
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

__all__ = ["Crossing", "chosen_crossing", "make_plan", "provenance_of", "quickest_crossing"]


@dataclass(frozen=True, slots=True)
class Crossing:
    """The codec of every boundary tensor and of every output that the cloud makes, in the plan's order."""

    boundary: Mapping[str, CodecQuote]
    downlink: Mapping[str, CodecQuote]


def quickest_crossing(
    model: ModelFacts, costs: ModelCosts, edge_ops: frozenset[str], forced: Mapping[str, str]
) -> Crossing:
    """The quickest codec for all that crosses under a solution of `costs.problem`, but for the codecs in `forced`.

    Raises InvalidPlan for a forced codec that cannot carry its tensor.
    """
    files = set(costs.files_crossing(edge_ops))
    boundary = {
        name: _quote(costs.uplink, name, forced) if name not in files else costs.file_quote(name)
        for name in model.graph.boundary(costs.model_ops(edge_ops))
    }
    downlink = {name: _quote(costs.downlink, name, {}) for name in _made_in_cloud(model, costs, edge_ops)}
    return Crossing(boundary, downlink)


def chosen_crossing(model: ModelFacts, costs: ModelCosts, choice: CutChoice) -> Crossing:
    """The codecs of `choice`; a tensor that joins only to tell the batch size takes its quickest."""
    files = set(costs.files_crossing(choice.edge_ops))

    def up(name: str) -> CodecQuote:
        if name in files:
            return costs.file_quote(name)
        way = choice.uplink.get(name)
        return quickest_codec(costs.uplink[name], name) if way is None else costs.uplink[name][way]

    boundary = {name: up(name) for name in model.graph.boundary(costs.model_ops(choice.edge_ops))}
    outputs = _made_in_cloud(model, costs, choice.edge_ops)
    return Crossing(boundary, {name: costs.downlink[name][choice.downlink[name]] for name in outputs})


def make_plan(
    model: ModelFacts, setting: Setting, costs: ModelCosts, edge_ops: frozenset[str], crossing: Crossing
) -> Plan:
    """The plan of a solution of `costs.problem` (pseudo-ops included), with its prediction."""
    graph, real = model.graph, costs.model_ops(edge_ops)
    halves_s = measured_halves_s(model, setting, real)
    return Plan(
        model=model.name,
        model_digest=model.digest,
        form=setting.costing.form,
        edge_ops=tuple(op.name for op in graph.ops if op.name in real),
        boundary=_named(crossing.boundary),
        downlink=_named(crossing.downlink),
        kept=graph.kept(real),
        edge_engine=setting.edge.engine,
        cloud_engine=setting.cloud.engine,
        predicted=_predict(costs, edge_ops, crossing, halves_s),
        provenance={**provenance_of(model, setting, crossing.boundary), **_halves_line(halves_s)},
    )


def _made_in_cloud(model: ModelFacts, costs: ModelCosts, edge_ops: frozenset[str]) -> list[str]:
    kept = model.graph.kept(costs.model_ops(edge_ops))
    return [name for name in dict.fromkeys(model.graph.outputs) if name not in kept]


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
    costs: ModelCosts, edge_ops: frozenset[str], crossing: Crossing, halves_s: Mapping[Half, float]
) -> Prediction:
    """halves_s: of those that were measured whole; the others are the sums of their ops."""
    up, down = tuple(crossing.boundary.values()), tuple(crossing.downlink.values())
    half_trip_s = costs.problem.fixed_s / 2 if len(edge_ops) < len(costs.problem.ops) else 0.0
    edge_s = _side_s(costs, {name: s for name, s in costs.edge_s.items() if name in edge_ops}, halves_s.get("prefix"))
    cloud_s = _side_s(
        costs, {name: s for name, s in costs.cloud_s.items() if name not in edge_ops}, halves_s.get("suffix")
    )
    return Prediction.of(
        math.fsum((*edge_s, *(quote.encode_s for quote in up))),
        math.fsum((half_trip_s, *(quote.transfer_s for quote in up))),
        math.fsum((*cloud_s, *(quote.decode_s for quote in up), *(quote.encode_s for quote in down))),
        math.fsum((half_trip_s, *(quote.transfer_s + quote.decode_s for quote in down))),
    )


def _side_s(costs: ModelCosts, seconds: Mapping[str, float], measured_s: float | None) -> list[float]:
    """What sums to the time of a side: of each op, or of all the model's at once and of preprocessing."""
    if measured_s is None:
        return list(seconds.values())
    beside = seconds.keys() - costs.model_ops(seconds)
    return [measured_s, *(seconds[name] for name in beside)]


def _halves_line(halves_s: Mapping[Half, float]) -> Mapping[str, str]:
    """Where the times of the halves come from, if not from those of their ops."""
    if not halves_s:
        return {}
    return {"halves": f"{' and '.join(halves_s)} predicted as measured whole"}


def provenance_of(model: ModelFacts, setting: Setting, crossing: Iterable[str] = ()) -> Mapping[str, str]:
    """Where every number of the prediction comes from, one line each. crossing: the tensors whose own codec sizes are
    of interest.
    """
    costing, tensors = setting.costing, set(crossing)
    facts = {
        "edge": _device_line(model, setting.edge),
        "cloud": _device_line(model, setting.cloud),
        "link": str(setting.link),
        "batch": str(costing.batch),
        "accuracy": _accuracy_words(costing),
        **{
            " ".join(filter(None, ("codec", size.codec, size.tensor))): f"ratio {size.ratio:.4g}, {size.provenance}"
            for size in costing.codecs
            if not size.tensor or size.tensor in tensors
        },
    }
    if costing.form == "bytes":
        facts["file"] = f"{costing.file.size_bytes} bytes, {costing.file.pixels} pixels expected"
    if (costing.edge_load, costing.cloud_load) != (1.0, 1.0):
        facts["loads"] = f"edge x{costing.edge_load:g}, cloud x{costing.cloud_load:g}"
    return facts


def _accuracy_words(costing: Costing) -> str:
    if costing.lossless:
        return "lossless"
    if costing.budget is None:
        return "lossy codecs allowed, accuracy not measured"
    return f"each lossy codec alone keeps {costing.budget.words}"


def _device_line(model: ModelFacts, device: DeviceProfile) -> str:
    slowed = f", emulated slowdown {device.slowdown:g}x" if device.slowdown != 1.0 else ""
    noisy = ", noisy" if device.is_noisy(model.digest) else ""
    apart = device.taken_apart(model.digest)
    rates = "" if apart is None else f", device {device.provenance.measured_at}"
    ran = f"{device.ran_on}, {device.taken(model.digest).measured_at}{rates}"
    return f"{device.name}: {device.op_times_are(model.digest)}, {ran}{slowed}{noisy}"
