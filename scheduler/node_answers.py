"""A node follows the orders of its launcher (`scheduler.node_orders`) and says what came of them."""

from __future__ import annotations

import json
from typing import Any

from isthmus.errors import InvalidRequest
from nodes.cloud_host import CloudHost
from nodes.configured_policies import ConfiguredPolicies
from nodes.edge_host import EdgeHost
from scheduler.edge_start import configure_edge
from scheduler.node_orders import STATUS_ORDER

__all__ = ["answer"]


async def answer(order: str, node: CloudHost | EdgeHost) -> dict[str, Any]:
    """Follow an order, and say what came of it. Whatever the order is, the node goes on."""
    if order == STATUS_ORDER:
        return {"status": node.status().to_dict()}
    try:
        await configure_edge(_edge(node), _policies(order))
    except Exception as error:  # one of ours, or of a policy's own code
        return {"refused": str(error), "kind": type(error).__name__}
    return {"policies": "in force"}


def _edge(node: CloudHost | EdgeHost) -> EdgeHost:
    if isinstance(node, EdgeHost):
        return node
    raise InvalidRequest("order", "is none for a cloud replica", remedy="write status")


def _policies(order: str) -> ConfiguredPolicies:
    try:
        return ConfiguredPolicies.from_dict(json.loads(order)["policies"])
    except (ValueError, KeyError, TypeError, RecursionError):
        remedy = 'write status or {"policies": ...}'
        raise InvalidRequest("order", "is not one", value=order, remedy=remedy) from None
