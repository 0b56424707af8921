"""Plans of one model to take the best of, with costs that no link and no load is part of: for latency and throughput.

The frontier holds the quickest plan for every condition. The one with the least busy bottleneck may not be on it, so
all cuts along the topological order join, each with each codec: a lower bound on the best throughput.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from partitioner.condition import Condition, CostVector
from partitioner.cost_model import Costing, ModelFacts
from partitioner.parametric_model import ParametricModel, parametric_model
from partitioner.parametric_problem import CutChoice, ParametricTensor, Transfer
from partitioner.profiles import DeviceProfile
from partitioner.supported_cuts import supported_cuts

__all__ = ["PlanPool", "busiest_s", "plan_pool"]


@dataclass(frozen=True, slots=True)
class PlanPool:
    """Plans of `model_ops` ops of a model."""

    plans: tuple[CutChoice, ...]
    model: ParametricModel
    model_ops: int

    def kind(self, plan: CutChoice) -> str:
        """ "edge-only", "cloud-only" or "split"."""
        on_edge = len(self.model.costs.model_ops(plan.edge_ops))
        return "cloud-only" if on_edge == 0 else "edge-only" if on_edge == self.model_ops else "split"

    def of_kind(self, kind: str) -> PlanPool:
        """The plans of that kind."""
        return PlanPool(tuple(p for p in self.plans if self.kind(p) == kind), self.model, self.model_ops)

    def quickest(self, condition: Condition) -> CutChoice:
        """The plan of least latency; the round trip is taken as 0."""
        return min(self.plans, key=lambda plan: plan.costs.seconds(condition))

    def least_busiest_s(self, condition: Condition) -> float:
        """Seconds a request of the pipeline whose slowest stage is the least slow."""
        return min(busiest_s(plan.costs, condition) for plan in self.plans)


def busiest_s(costs: CostVector, condition: Condition) -> float:
    """Seconds a request of the slowest of edge, uplink, downlink and cloud, each busy with a request of its own."""
    return max(
        costs.edge_s * condition.edge_load,
        condition.link.uplink_s(costs.uplink_bytes),
        condition.link.downlink_s(costs.downlink_bytes),
        costs.cloud_s * condition.cloud_load,
    )


def plan_pool(model: ModelFacts, profile: DeviceProfile, costing: Costing) -> PlanPool:
    """The frontier between two devices of one profile (loads make them differ), and all linear cuts."""
    parametric = parametric_model(model, profile, profile, costing)
    found = [cut.choice for cut in supported_cuts(parametric.problem)]
    codecs = [size.codec for size in costing.codecs]
    found.extend(_linear(model, parametric, codecs))
    return PlanPool(tuple(found), parametric, len(model.graph.ops))


def _linear(model: ModelFacts, parametric: ParametricModel, codecs: list[str]) -> Iterator[CutChoice]:
    ops = [op.name for op in model.graph.ops]
    yield _choice(parametric, frozenset(), "")
    for count in range(len(ops) + 1):
        edge_ops = parametric.costs.with_preprocessing(ops[:count])
        for codec in codecs:
            yield _choice(parametric, edge_ops, codec)


def _choice(parametric: ParametricModel, edge_ops: frozenset[str], codec: str) -> CutChoice:
    tensors = parametric.problem.tensors
    crossing = [t for t in tensors if _on_edge(t, edge_ops) and not edge_ops.issuperset(t.consumers)]
    returned = [t for t in tensors if t.is_output and not _on_edge(t, edge_ops)]
    up = {t.name: _way(t.uplink, codec) for t in crossing}
    return parametric.problem.choice(edge_ops, up, {t.name: 0 for t in returned})


def _on_edge(tensor: ParametricTensor, edge_ops: Iterable[str]) -> bool:
    return tensor.producer is None or tensor.producer in edge_ops


def _way(ways: tuple[Transfer, ...], codec: str) -> int:
    """The index of that codec; of the first where it cannot carry the tensor."""
    return next((number for number, way in enumerate(ways) if way.codec == codec), 0)
