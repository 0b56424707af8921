"""What a plan that is made costs, and what an objective makes of that: to set beside the best one's value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from partitioner.codec_choice import FILE_CODEC, CodecQuote
from partitioner.condition import CostVector
from partitioner.cost_model import ModelCosts, ModelFacts, model_costs
from partitioner.measured_halves import measured_halves_s
from partitioner.objectives import Objective
from partitioner.plan import Plan, TensorCodec
from partitioner.setting import Setting

__all__ = ["cost_vector", "idle_cut", "plan_value"]


def plan_value(model: ModelFacts, setting: Setting, plan: Plan, objective: Objective) -> float:
    """What `plan`, made under `setting`, is judged by. Halves count as measured whole where they were."""
    costs, cut = idle_cut(model, setting, plan)  # the objective has the loads in its prices
    up = [
        costs.file_quote(one.tensor) if one.codec == FILE_CODEC else _quote(costs.uplink, one) for one in plan.boundary
    ]
    down = [_quote(costs.downlink, one) for one in plan.downlink]
    real = frozenset(plan.edge_ops)
    halves_s = measured_halves_s(model, setting, real)
    edge_s = math.fsum(s for name, s in costs.edge_s.items() if name in real)
    cloud_s = math.fsum(costs.cloud_s[name] for name in costs.model_ops(costs.cloud_s) - real)
    halves = halves_s.get("prefix", edge_s), halves_s.get("suffix", cloud_s)
    return objective.value(cost_vector(costs, cut, (up, down), *halves), plan.kind != "edge-only")


def idle_cut(model: ModelFacts, setting: Setting, plan: Plan) -> tuple[ModelCosts, frozenset[str]]:
    """What idle devices take, and the plan's cut as a solution of that problem."""
    idle = replace(setting.costing, edge_load=1.0, cloud_load=1.0)
    costs = model_costs(model, setting.edge, setting.cloud, setting.link, idle)
    files = [one.tensor for one in plan.boundary if one.codec == FILE_CODEC]
    return costs, costs.with_preprocessing(plan.edge_ops, files)


def cost_vector(
    costs: ModelCosts,
    cut: frozenset[str],
    crossing: tuple[Sequence[CodecQuote], Sequence[CodecQuote]],
    prefix_s: float,
    suffix_s: float,
) -> CostVector:
    """Of a solution of `costs.problem`. crossing: the codecs up and down. prefix_s, suffix_s: of the model's ops on
    either side."""
    up, down = crossing
    pseudo = costs.edge_s.keys() - costs.model_ops(costs.edge_s)
    edge_s = [costs.edge_s[name] for name in pseudo if name in cut]
    cloud_s = [costs.cloud_s[name] for name in pseudo if name not in cut]
    return CostVector(
        math.fsum((prefix_s, *edge_s, *(quote.encode_s for quote in up), *(quote.decode_s for quote in down))),
        _wire_bytes(up),
        _wire_bytes(down),
        math.fsum((suffix_s, *cloud_s, *(quote.decode_s for quote in up), *(quote.encode_s for quote in down))),
    )


def _quote(quotes: Mapping[str, tuple[CodecQuote, ...]], tensor: TensorCodec) -> CodecQuote:
    return next(quote for quote in quotes[tensor.tensor] if quote.named(tensor.tensor) == tensor)


def _wire_bytes(quotes: Iterable[CodecQuote]) -> float:
    return math.fsum(quote.wire_bytes for quote in quotes)
