"""The Serve deployments: each replica's constructor starts the node with its own gRPC server, its end drains it.

Serve places, watches and replaces replicas; it is not in the data path and never sees a request.
"""

from __future__ import annotations

from typing import Any

from nodes.cloud_host import CloudHost
from nodes.settings import CloudSettings, EdgeSettings
from scheduler.edge_start import start_edge
from scheduler.node_answers import answer

__all__ = ["CloudReplica", "EdgeReplica"]


class CloudReplica:
    """One cloud replica inside a Serve actor."""

    async def __init__(self, settings: str) -> None:  # type: ignore[misc]  # Serve awaits an async constructor
        own = CloudSettings.from_json(settings)
        own.log.configure()
        self._host = await CloudHost.start(own)

    async def __del__(self) -> None:
        """Serve awaits this when it takes a replica down: drain."""
        host = getattr(self, "_host", None)
        if host is not None:
            await host.drain()

    async def __call__(self) -> str:
        """The address of the segment service: for tests and status, never for data."""
        return self._host.address


class EdgeReplica:
    """The edge inside a Serve actor."""

    async def __init__(self, settings: str) -> None:  # type: ignore[misc]  # Serve awaits an async constructor
        own = EdgeSettings.from_json(settings)
        own.log.configure()
        self._host = await start_edge(own)

    async def __del__(self) -> None:
        """Serve awaits this when it takes a replica down: drain."""
        host = getattr(self, "_host", None)
        if host is not None:
            await host.drain()

    async def __call__(self) -> str:
        """The address of the gateway."""
        return self._host.address

    async def planned(self) -> bool:
        """Whether plans that use the cloud are on offer."""
        return self._host.node.planned.is_set()

    async def order(self, order: str) -> dict[str, Any]:
        """See `scheduler.node_orders`: only who runs the cluster gets here."""
        return await answer(order, self._host)
