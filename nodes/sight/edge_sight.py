"""An edge looks at itself every two seconds, and shows what it saw to whoever asks."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from typing import Protocol

from isthmus.errors import NotFound
from nodes.drift import Drifting
from nodes.edge_node import EdgeNode
from nodes.journal import Journal
from nodes.remeasuring import Remeasuring
from nodes.settings import EdgeSettings
from nodes.sight.base import EndedRequests, Remembering
from nodes.sight.history import MOST_LOOKED_AT, PERIOD_S, History, Reading
from nodes.sight.view import WINDOW_S, EdgeFacts, EdgeView
from nodes.steering import Steerable
from nodes.transport.fleet_client import FleetWatch
from nodes.transport.gateway_server import GatewayService
from partitioner.graph import ModelGraph
from partitioner.plan import Plan

__all__ = ["EdgeSight", "ShownCut", "edge_facts"]


class _Deciding(Remembering, Steerable, Drifting, Protocol):
    """Who decides on the edge."""


@dataclass(frozen=True, slots=True)
class ShownCut:
    """A plan and the graph that it cuts."""

    graph: ModelGraph
    plan: Plan


class EdgeSight:
    """Make it on the node's event loop, where all of it is called; `start` it, `stop` it once."""

    def __init__(
        self, facts: EdgeFacts, node: EdgeNode, chooser: _Deciding, service: GatewayService, journal: Journal | None,
        remeasuring: Remeasuring, watch: FleetWatch | None,
    ) -> None:  # fmt: skip
        """watch: on the registry, None without one."""
        self._facts, self._node, self._chooser, self._service = facts, node, chooser, service
        self._journal, self._remeasuring, self._watch = journal, remeasuring, watch
        self._started_s = time.monotonic()
        # What was decided before were the edge's own questions at its start.
        self._history = History(self._reading(chooser.ended(0, 0)))
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._looking = asyncio.create_task(self._look_regularly())

    async def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def look(self, since: int) -> EdgeView:
        """All of it, with the moments after the one of that number."""
        node, history, now_s = self._node, self._history, time.monotonic()
        return EdgeView(
            facts=self._facts,
            now_s=now_s,
            started_s=self._started_s,
            ready=node.ready(),
            steering=self._chooser.steering,
            shadow_report=self._chooser.shadow_report,
            models=node.models(),
            paced=any(plan.entry.plan.cloud_engine == "paced" for plan in node.plans()),
            registry_heard=self._watch is not None and self._watch.heard,
            registry_away_s=None if self._watch is None else self._watch.away_s,
            replicas=node.replicas.states(),
            link=self._chooser.link_belief(),
            waiting=node.waiting,
            admission=node.gate.counts,
            edge_queue_s=node.queue.wait_s(),
            kept_bytes=node.kept.held_bytes,
            answered=self._service.answered,
            failed=self._service.failures.failed,
            mistaken=self._service.failures.mistaken,
            resumes=node.resumes,
            log_lost=0 if self._journal is None else self._journal.lost,
            moments=history.since(since),
            lately=history.lately(WINDOW_S),
            requests=history.requests,
            failures=self._service.failures.kept,
            drifts=self._chooser.drifts(now_s),
            remeasured=self._remeasuring.state,
        )

    def explain(self, request_id: str) -> str:
        """See Steerable."""
        return self._chooser.explain(request_id)

    def cut(self, model: str, plan_id: str) -> ShownCut:
        """A plan on offer, with what it was predicted to take when it was last chosen.

        Raises NotFound for a model that is not loaded and a plan that it does not offer.
        """
        runtime = self._node.runtime(model)
        plan = next((entry.plan for entry in runtime.table.entries if entry.plan.plan_id == plan_id), None)
        if plan is None:
            raise NotFound(f"plan {plan_id!r} is not on offer for {model}")
        chosen = (one.predicted for one in reversed(self._history.requests) if one.plan_id == plan_id)
        return ShownCut(runtime.model.graph, replace(plan, predicted=next(chosen, plan.predicted)))

    async def _look_regularly(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_S)
            self._history.add(self._reading(self._chooser.ended(self._history.ended, MOST_LOOKED_AT)))

    def _reading(self, ended: EndedRequests) -> Reading:
        node = self._node
        queues = [connection.cloud_queue_s for connection in node.replicas.connections]
        return Reading(
            at_s=time.monotonic(),
            answered=self._service.answered,
            failed=self._service.failures.failed,
            mistaken=self._service.failures.mistaken,
            waiting=node.waiting,
            edge_queue_s=node.queue.wait_s(),
            cloud_queue_s=min(queues, default=None),
            replicas_usable=node.replicas.usable,
            resumed_on_edge=node.resumes.resumed_on_edge,
            link=self._chooser.link_belief(),
            ended=ended,
        )


def edge_facts(settings: EdgeSettings, edge_id: str, version: str) -> EdgeFacts:
    """What an edge with these settings is."""
    slowed = (f"the edge is slowed down {settings.slowdown:g} times",) if settings.slowdown != 1.0 else ()
    return EdgeFacts(
        edge_id=edge_id,
        run=secrets.token_hex(4),
        version=version,
        engine=settings.engine,
        device=settings.device,
        threads=settings.threads,
        emulated=slowed,
        registry=settings.registry,
        waiting_limit=settings.limits.queue,
        kept_limit_bytes=settings.kept_bytes,
    )
