"""An edge as a whole: models, engine, node, gateway, the watch on the fleet; whatever hosts it starts and drains it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from isthmus.telemetry import get_logger
from isthmus.version import VERSION
from nodes.background import run_apart
from nodes.byte_budget import ByteBudget
from nodes.chooser import Chooser
from nodes.chooser_observer import ChooserObserver
from nodes.cloud_connection import CloudConnection
from nodes.compute_pool import ComputePool
from nodes.configured_policies import ConfiguredPolicies
from nodes.drift import STAGES, Drifting
from nodes.edge_memory import EdgeMemory, MeasuredStart
from nodes.edge_models import EdgeModels
from nodes.edge_node import EdgeNode
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.base import Engine
from nodes.engines.factory import engine_for
from nodes.fleet import Endpoint
from nodes.gateway_probe import measure_overhead
from nodes.hedging import Hedging
from nodes.journal import Journal
from nodes.limits import NodeLimits
from nodes.measure.turn import measuring_turn
from nodes.metrics.edge_metrics import EdgeFacts, edge_families
from nodes.metrics.loop_collector import node_registry
from nodes.metrics.request_ledger import RequestLedger
from nodes.metrics.route import metrics_routes
from nodes.model_loading import load_models, measured_profile, with_op_times
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.node_status import NodeStatus, node_status
from nodes.prefix_queue import PrefixQueue
from nodes.protocol.limits import StreamLimits
from nodes.remeasuring import Remeasuring
from nodes.request_overhead import RequestOverhead
from nodes.settings import EdgeSettings, ModelArtifact
from nodes.sight.base import Remembering
from nodes.sight.edge_sight import EdgeSight, edge_facts
from nodes.sight.routes import page_routes
from nodes.steering import Steerable
from nodes.tracing.base import Tracing
from nodes.tracing.factory import configured_tracing
from nodes.transport.fleet_client import FleetWatch
from nodes.transport.gateway_server import GatewayService
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.operator_service import OperatorService
from nodes.transport.segment_client import SegmentClient
from nodes.transport.self_check import SelfCheck
from nodes.web.server import HttpServer, Routes
from partitioner.model import Model

__all__ = ["EdgeHost"]

METRICS_FIELD, PAGE_FIELD = "edge.metrics_listen", "edge.page_listen"


class SteeredChooser(Chooser, Steerable, Remembering, Drifting, Protocol):
    """Who decides on an edge, steered by its operator and by its configuration file, and tells what it decided."""

    def configure(self, policies: ConfiguredPolicies) -> None:
        """From the next request on, in place of all policies that were in force; the shadow and the canary stay.

        Raises NotFound for an unknown policy, InvalidInput for one that cannot be made; everything stays as it was.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Front:
    """What clients talk to, what operators steer, and what both see. ports: by the configuration's name of each; one
    that serves two has both."""

    service: GatewayService
    server: GrpcServer
    chooser: SteeredChooser
    sight: EdgeSight
    ports: Mapping[str, HttpServer]
    tracing: Tracing | None
    remeasuring: Remeasuring


class EdgeHost:
    """`await EdgeHost.start(settings, chooser)`, then `await host.drain()` once."""

    def __init__(
        self, settings: EdgeSettings, node: EdgeNode, pool: ComputePool, front: _Front, watch: FleetWatch | None,
        journal: Journal | None, models: EdgeModels, slowed: Engine, memory: EdgeMemory,
    ) -> None:  # fmt: skip
        """slowed: the engine that this device is measured with. memory: of what was measured, for the next start."""
        self._settings = settings
        self.node = node
        self._pool = pool
        self._front = front
        self._watch = watch
        self._journal = journal
        self._models = models
        self._slowed, self._memory = slowed, memory
        self._self_check = SelfCheck(self.address, settings.tls)

    @classmethod
    async def start(cls, settings: EdgeSettings, chooser: SteeredChooser, journal: Journal | None = None) -> EdgeHost:
        """Load, measure (or remember), serve edge-only plans, then look for the cloud. journal: closed at the end.

        Raises DeviceUnavailable, InvalidModel, PortInUse; a cloud that is not there is no error.
        """
        keep_freed_memory()
        edge_id = f"{socket.gethostname()}:{settings.listen}"
        make_engine = partial(engine_for, settings.engine, device=settings.device, threads=settings.threads)
        slowed = make_engine(slowdown=settings.slowdown)
        pool = ComputePool(settings.threads, name="prefix")
        pool.share_budget()
        models = await pool.run(load_models, settings.models)
        own = EdgeModels(settings, make_engine, pool)
        observer = ChooserObserver(chooser)

        async def dial(endpoint: Endpoint) -> CloudConnection:
            return await SegmentClient.connect(endpoint, edge_id, observer, chooser.cloud_queue(), settings.tls, limits)

        limits = StreamLimits(settings.limits.message_bytes, field="edge.limits.message")
        queue = PrefixQueue(pool, chooser.edge_queue(), settings.batching)
        memory = EdgeMemory.of(settings, slowed)
        digests = {name: model.digest for name, model in models.items()}
        known = memory.start(digests)
        # What was measured at an earlier start needs no turn: nothing is timed.
        async with measuring_turn() if known is None else contextlib.nullcontext():
            profile = known.profile if known else await measured_profile(models, slowed, pool)
            loaded = {name: await own.load(name, model) for name, model in models.items()}
            shelf = ModelShelf(loaded, own.load)
            hedging = Hedging(settings.hedge_percentile)
            node = EdgeNode(shelf, profile, chooser, queue, dial, settings.kept_bytes, settings.limits, hedging, memory)
            await node.start()
            node.overhead = known.overhead if known else await _probed_overhead(node, models, settings.limits)
            node.decisions.clear()  # those were for no client's requests
            node.without_replica = 0
        if known is None:
            memory.keep_start(digests, MeasuredStart(profile, node.overhead))
        tracing = configured_tracing("isthmus-edge")
        watch = None
        if settings.registry:
            watch = FleetWatch(settings.registry, edge_id, node.replicas.follow, tls=settings.tls)
        front = await _open_front(settings, node, chooser, journal, edge_id, tracing, watch)
        if watch is not None:
            watch.start()
            node.want_cloud = watch.want
        get_logger("edge").info("edge serves", address=front.server.address, overhead=str(node.overhead))
        return cls(settings, node, pool, front, watch, journal, own, slowed, memory)

    @property
    def address(self) -> str:
        """Where the gateway answers."""
        return self._front.server.address

    @property
    def metrics_address(self) -> str:
        """Where Prometheus asks, "" without such a port."""
        return self._web_address(METRICS_FIELD)

    @property
    def page_address(self) -> str:
        """Where browsers look, "" without such a port."""
        return self._web_address(PAGE_FIELD)

    def _web_address(self, field: str) -> str:
        port = self._front.ports.get(field)
        return "" if port is None else port.address

    def status(self) -> NodeStatus:
        """What it holds now."""
        return _status(self.node)

    def configure(self, policies: ConfiguredPolicies) -> None:
        """See SteeredChooser. What an operator had set is told where it goes."""
        chooser = self._front.chooser
        before = chooser.steering
        chooser.configure(policies)
        gone = before.replaced_by(policies.by_scope)
        if gone:
            get_logger("edge").warning("the configuration file replaces what `isthmus policy` set", replaced=gone)

    async def switch_models(self, artifacts: Sequence[ModelArtifact]) -> None:
        """Serve these versions of configured models, one after the other, each as `EdgeNode.switch_model` does it.

        Raises NotFound for a model that is not configured, InvalidModel, Unavailable; what was switched stays so.
        """
        for artifact in artifacts:
            await self._models.switch(artifact, self._switch)

    async def _switch(self, loaded: LoadedModel) -> None:
        """Its ops are timed first, as those of other versions were at the start: cuts are chosen by them, now and at
        the next start."""
        profile = await with_op_times(self.node.profile, loaded.model, self._slowed, self._pool)
        self.node.measured(profile)
        await self.node.switch_model(loaded)
        await run_apart(self._memory.keep_start, self.node.digests, MeasuredStart(profile, self.node.overhead))

    async def check(self) -> None:
        """Ask the gateway at its own port, as a client does. Raises Unavailable where no answer comes, and where what
        computes hangs."""
        self.node.queue.check()
        await self._self_check.gateway()

    async def drain(self) -> None:
        """Take nothing new, answer what was accepted, end."""
        await self._front.server.set_serving(False)
        await self._front.remeasuring.stop()
        if self._watch is not None:
            await self._watch.close()
        self._front.service.end_streams()
        await self.node.drain(self._settings.drain_s)
        await self._front.server.stop(self._settings.drain_s)
        await self._pool.aclose()
        if self._journal is not None:
            await asyncio.to_thread(self._journal.close)
        if self._front.tracing is not None:
            await asyncio.to_thread(self._front.tracing.close)
        await self._front.sight.stop()
        for port in set(self._front.ports.values()):  # the last to go: a drain is something to watch
            await asyncio.to_thread(port.stop)


async def _open_front(
    settings: EdgeSettings, node: EdgeNode, chooser: SteeredChooser, journal: Journal | None, edge_id: str,
    tracing: Tracing | None, watch: FleetWatch | None,
) -> _Front:  # fmt: skip
    """The gateway's port and, where they are asked for, those of the metrics and the page. Raises PortInUse,
    InvalidConfiguration."""
    requests = RequestLedger() if settings.metrics_listen else None
    service = GatewayService(node, VERSION, settings.limits, requests, tracing, settings.client_bytes)
    remeasuring = Remeasuring(node, chooser)
    sight = EdgeSight(edge_facts(settings, edge_id, VERSION), node, chooser, service, journal, remeasuring, watch)
    server = service.server(OperatorService(chooser, sight, settings.limits, remeasuring, node.models))
    await server.start(settings.listen, "edge.listen", settings.tls, require_clients=settings.require_clients)
    shown: dict[str, tuple[str, Routes]] = {}
    if requests is not None:
        drifted = partial(_drifted, chooser, remeasuring)
        held = service.held.budget
        registry = node_registry(
            lambda: _facts(settings, node, held, requests, journal, watch, *drifted()), edge_families
        )
        shown[METRICS_FIELD] = settings.metrics_listen, metrics_routes(registry)
    if settings.page_listen:
        shown[PAGE_FIELD] = settings.page_listen, page_routes(sight, settings.page_listen)
    try:
        ports = _open_ports(shown, settings)
    except BaseException:
        await server.stop(0)
        raise
    sight.start()
    remeasuring.start()
    await server.set_serving(True)
    return _Front(service, server, chooser, sight, ports, tracing, remeasuring)


def _open_ports(shown: Mapping[str, tuple[str, Routes]], settings: EdgeSettings) -> dict[str, HttpServer]:
    """A port for each address, with all that is to be there. Raises PortInUse, InvalidConfiguration."""
    at: dict[str, dict[str, Routes]] = {}
    for field, (address, routes) in shown.items():
        at.setdefault(address, {})[field] = routes
    ports: dict[str, HttpServer] = {}
    try:
        for address, parts in at.items():
            together = {path: route for routes in parts.values() for path, route in routes.items()}
            port = HttpServer.start(
                together, address, next(iter(parts)), settings.tls, require_clients=settings.require_clients
            )
            ports |= dict.fromkeys(parts, port)
    except BaseException:
        for port in set(ports.values()):
            port.stop()
        raise
    return ports


def _status(node: EdgeNode) -> NodeStatus:
    return node_status(node.waiting, len(node.replicas.connections), node.kept.held_bytes)


def _drifted(chooser: SteeredChooser, remeasuring: Remeasuring) -> tuple[Mapping[str, int], int]:
    """Alarms by stage, and how often plans were measured again."""
    stages = [one.stage for one in chooser.drifts(time.monotonic())]
    return {stage: stages.count(stage) for stage in STAGES}, remeasuring.state.count


def _facts(
    settings: EdgeSettings, node: EdgeNode, clients: ByteBudget, requests: RequestLedger, journal: Journal | None,
    watch: FleetWatch | None, drifts: Mapping[str, int], remeasured: int,
) -> EdgeFacts:  # fmt: skip
    return EdgeFacts(
        status=_status(node),
        waiting_limit=settings.limits.queue,
        kept_limit_bytes=settings.kept_bytes,
        client_bytes=clients.held_bytes,
        client_limit_bytes=clients.limit_bytes,
        engine_bytes=node.engine_bytes,
        usable_replicas=node.replicas.usable,
        registry_connected=None if watch is None else watch.away_s is None,
        credits={one.replica_id: one.credit for one in node.replicas.connections if one.credit is not None},
        link=node.link,
        queue_s=node.queue.wait_s(),
        admission=node.gate.counts,
        decisions=dict(node.decisions),
        without_replica=node.without_replica,
        executions={"prefix": replace(node.queue.prefixes.counts), "suffix": replace(node.queue.suffixes.counts)},
        resumes=node.resumes,
        prefixes=node.queue.prefix_counts,
        requests=requests.counts(),
        lost_records=0 if journal is None else journal.lost,
        drifts=drifts,
        remeasured=remeasured,
    )


async def _probed_overhead(node: EdgeNode, models: Mapping[str, Model], limits: NodeLimits) -> RequestOverhead:
    """Through a port of its own on loopback, in clear: nobody else asks there, and no certificate must be for it. A
    service of its own, too: these are no client's requests, and no statistics count them."""
    server = GatewayService(node, VERSION, limits).server()
    address = await server.start("127.0.0.1:0", "edge.listen")
    try:
        return await measure_overhead(address, models)
    finally:
        await server.stop(0)
