"""From a model and two measured devices to a `ParametricProblem`: costs that no link and no load is part of yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from partitioner.codec_choice import CodecQuote
from partitioner.cost_model import Costing, ModelCosts, ModelFacts, model_costs
from partitioner.cut_problem import TensorCost
from partitioner.link import Link
from partitioner.parametric_problem import ParametricProblem, ParametricTensor, Transfer
from partitioner.profiles import DeviceProfile

__all__ = ["ParametricModel", "parametric_model"]

# Bytes are counted, not timed: any link does.
_ANY_LINK = Link(8.0, 8.0, 0.0)


@dataclass(frozen=True, slots=True)
class ParametricModel:
    """The problem, and the costs at load 1 that it was made of. Each way of a tensor is the quote of its index."""

    problem: ParametricProblem
    costs: ModelCosts


def parametric_model(model: ModelFacts, edge: DeviceProfile, cloud: DeviceProfile, costing: Costing) -> ParametricModel:
    """The loads in `costing` are left out. Raises InvalidInput when no allowed codec carries a tensor."""
    idle = replace(costing, edge_load=1.0, cloud_load=1.0)
    costs = model_costs(model, edge, cloud, _ANY_LINK, idle)
    tensors = tuple(_tensor(tensor, costs) for tensor in costs.problem.tensors)
    required = model.interface.autonomy == "cloud-required"
    return ParametricModel(ParametricProblem(tuple(costs.problem.ops), tensors, required), costs)


def _tensor(tensor: TensorCost, costs: ModelCosts) -> ParametricTensor:
    uplink = _ways(costs.uplink, tensor.name) if tensor.name not in costs.private else ()
    downlink = tuple(_returning(quote) for quote in costs.downlink.get(tensor.name, ()))
    consumers = tuple(tensor.consumers)
    return ParametricTensor(tensor.name, tensor.producer, consumers, uplink, tensor.is_output, downlink)


def _ways(quotes: Mapping[str, tuple[CodecQuote, ...]], name: str) -> tuple[Transfer, ...]:
    return tuple(Transfer(q.size.codec, q.encode_s, q.wire_bytes, q.decode_s) for q in quotes[name])


def _returning(quote: CodecQuote) -> Transfer:
    return Transfer(quote.size.codec, quote.decode_s, quote.wire_bytes, quote.encode_s)
