"""How long each op takes where a plan runs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from partitioner.cost_model import ModelFacts
from partitioner.setting import Setting

__all__ = ["plan_op_seconds"]


def plan_op_seconds(model: ModelFacts, setting: Setting, edge_ops: Iterable[str]) -> Mapping[str, float]:
    """Seconds of every op of `model`: on the edge for `edge_ops`, in the cloud for the rest; under the loads."""
    costing, here = setting.costing, frozenset(edge_ops)
    edge = setting.edge.op_seconds(model.graph, model.digest, costing.batch)
    cloud = setting.cloud.op_seconds(model.graph, model.digest, costing.batch)
    return {
        name: seconds * costing.edge_load if name in here else cloud[name] * costing.cloud_load
        for name, seconds in edge.items()
    }
