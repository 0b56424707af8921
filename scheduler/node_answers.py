"""A node follows the orders of its launcher (`scheduler.node_orders`) and says what came of them."""

from __future__ import annotations

import json
from typing import Any

from isthmus.errors import InvalidRequest
from nodes.cloud_host import CloudHost
from nodes.configured_policies import ConfiguredPolicies
from nodes.edge_host import EdgeHost
from nodes.settings import ModelArtifact
from scheduler.edge_start import configure_edge
from scheduler.node_orders import STATUS_ORDER

__all__ = ["answer"]


async def answer(order: str, node: CloudHost | EdgeHost) -> dict[str, Any]:
    """Follow an order, and say what came of it. Whatever the order is, the node goes on."""
    if order == STATUS_ORDER:
        return {"status": node.status().to_dict()}
    try:
        return await _followed(order, _edge(node))
    except Exception as error:  # one of ours, or of a policy's own code
        return {"refused": str(error), "kind": type(error).__name__}


async def _followed(order: str, edge: EdgeHost) -> dict[str, Any]:
    said = _parsed(order)
    if isinstance(said, ConfiguredPolicies):
        await configure_edge(edge, said)
        return {"policies": "in force"}
    await edge.switch_models(said)
    return {"models": "in force"}


def _edge(node: CloudHost | EdgeHost) -> EdgeHost:
    if isinstance(node, EdgeHost):
        return node
    raise InvalidRequest("order", "is none for a cloud replica", remedy="write status")


def _parsed(order: str) -> ConfiguredPolicies | tuple[ModelArtifact, ...]:
    try:
        said = json.loads(order)
        if "models" in said:
            return tuple(map(ModelArtifact.from_dict, said["models"]))
        return ConfiguredPolicies.from_dict(said["policies"])
    except (ValueError, KeyError, TypeError, RecursionError):
        remedy = 'write status, {"policies": ...} or {"models": ...}'
        raise InvalidRequest("order", "is not one", value=order, remedy=remedy) from None
