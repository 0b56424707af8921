"""The Serve deployments: each replica's constructor starts the node with its own gRPC server, its end drains it.

Serve places, watches and replaces replicas; it is not in the data path and never sees a request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodes.cloud_host import CloudHost
from nodes.settings import CloudSettings, EdgeSettings
from nodes.wanted_replicas import WantedReplicas
from scheduler.autoscaling import AutoscalingRule, ReplicaLoad, wanted_by
from scheduler.edge_start import start_edge
from scheduler.node_answers import answer
from scheduler.serve.replica_scaling import BUSY, OFFERED, PREPARING, QUEUED_S

__all__ = ["CloudReplica", "EdgeReplica"]


class CloudReplica:
    """One cloud replica inside a Serve actor."""

    async def __init__(self, settings: str, rule: Mapping[str, float]) -> None:  # type: ignore[misc]  # Serve awaits it
        """rule: see `rule_arguments`."""
        own = CloudSettings.from_json(settings)
        own.log.configure()
        self._rule = AutoscalingRule(**rule)  # type: ignore[arg-type]  # whole numbers stay so
        self._host = await CloudHost.start(own)
        self._said_s, self._offered_s = time.monotonic(), 0.0

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """See `replica_scaling`; Serve asks a few times a second where there is a policy."""
        now_s, node = time.monotonic(), self._host.node
        since_s, offered = max(1e-3, now_s - self._said_s), node.offered_s - self._offered_s
        self._said_s, self._offered_s = now_s, node.offered_s
        load = ReplicaLoad(node.waiting_s, offered / since_s, self._host.preparing, busy=node.queued_s > 0)
        node.wanted = WantedReplicas(wanted_by(self._rule, load), self._rule.max_replicas)
        flags = {PREPARING: float(load.preparing), BUSY: float(load.busy)}
        return {QUEUED_S: load.queued_s, OFFERED: load.offered, **flags}

    async def check_health(self) -> None:
        """Serve replaces a replica whose port does not answer three times in a row."""
        await self._host.check()

    async def __del__(self) -> None:
        """Serve awaits this when it takes a replica down: drain."""
        host = getattr(self, "_host", None)
        if host is not None:
            await host.drain()

    async def __call__(self) -> str:
        """The address of the segment service: for tests, status and Serve's HTTP proxies, never for data."""
        return self._host.address


class EdgeReplica:
    """The edge inside a Serve actor."""

    async def __init__(self, settings_file: str) -> None:  # type: ignore[misc]  # Serve awaits an async constructor
        """settings_file: see `scheduler.edge_settings_file`; read at every start, so also where this is a successor."""
        own = EdgeSettings.from_json(await asyncio.to_thread(Path(settings_file).read_text))
        own.log.configure()
        self._host = await start_edge(own)

    async def check_health(self) -> None:
        """Serve replaces an edge whose port does not answer three times in a row."""
        await self._host.check()

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
