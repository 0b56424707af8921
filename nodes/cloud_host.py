"""A cloud replica as a whole: models, engine, node, server, registration; started and drained by whatever hosts it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from functools import partial

from isthmus.telemetry import get_logger
from nodes.background import run_apart
from nodes.cloud_models import CloudModels, configured_models
from nodes.cloud_node import CloudNode
from nodes.compute_pool import ComputePool
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.base import Engine
from nodes.engines.factory import engine_for
from nodes.fleet import Replica
from nodes.measure.kept_profile import KeptProfile
from nodes.measure.turn import measuring_turn
from nodes.metrics.cloud_metrics import CloudFacts, cloud_families
from nodes.metrics.loop_collector import node_registry
from nodes.metrics.route import metrics_routes
from nodes.model_loading import measured_profile, with_differences, with_op_times
from nodes.node_status import NodeStatus
from nodes.replica_endpoint import replica_endpoint
from nodes.settings import CloudSettings
from nodes.tracing.base import Tracing
from nodes.tracing.factory import configured_tracing
from nodes.transport.fleet_client import ReplicaRegistration
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.segment_server import SegmentService
from nodes.transport.self_check import SelfCheck
from nodes.web.server import HttpServer
from partitioner.profiles import DeviceProfile

__all__ = ["CloudHost"]


class CloudHost:
    """`await CloudHost.start(settings)`, then `await host.drain()` once."""

    def __init__(
        self, settings: CloudSettings, pool: ComputePool, node: CloudNode, service: SegmentService, server: GrpcServer,
        registration: ReplicaRegistration, metrics: HttpServer | None, tracing: Tracing | None,
    ) -> None:  # fmt: skip
        """node: to look at: what waits, what was offered."""
        self._settings = settings
        self._self_check = SelfCheck(server.address, settings.tls, settings.tls_server_name)
        self.node = node
        self._metrics = metrics
        self._tracing = tracing
        self._pool = pool
        self._service = service
        self._server = server
        self._registration = registration

    @classmethod
    async def start(cls, settings: CloudSettings) -> CloudHost:
        """Load, measure, listen, register. Raises DeviceUnavailable, InvalidModel, PortInUse."""
        keep_freed_memory()
        make_engine = partial(
            engine_for, settings.engine, device=settings.device, threads=settings.threads, paced_by=settings.paced_by
        )
        engine, pool = make_engine(), ComputePool(settings.threads, name="suffix")
        models = await run_apart(configured_models, settings, make_engine, engine)
        await models.fill()
        replica_id = settings.id_prefix + uuid.uuid4().hex[:12]
        kept = KeptProfile(engine, models.digests, settings.paced_by)
        profile = kept.read()
        if profile is None:
            async with measuring_turn():
                profile = kept.read()  # of one whose turn was before this one's
                if profile is None:
                    profile = await _measured(models, engine, pool)
                    kept.write(profile)
        node = CloudNode(replica_id, models, pool, profile, settings.batching, settings.limits)
        tracing = configured_tracing("isthmus-cloud")
        service = SegmentService(node, settings.limits, tracing, settings.held_bytes)
        server = service.server()
        address = await server.start(
            settings.listen, "cloud.listen", settings.tls, require_clients=settings.require_clients
        )
        metrics = None
        if settings.metrics_listen:
            try:
                metrics = _serve_metrics(settings, node, service, models)
            except BaseException:
                await server.stop(0)
                raise
        await server.set_serving(True)
        replica = Replica(
            replica_id,
            await asyncio.to_thread(replica_endpoint, settings, replica_id, address),
            models.versions,
        )
        registration = ReplicaRegistration(settings.registry, replica, settings.tls)
        registration.start()
        get_logger("cloud").info("cloud replica serves", replica=replica_id, address=address)
        return cls(settings, pool, node, service, server, registration, metrics, tracing)

    @property
    def address(self) -> str:
        """Where the segment service answers."""
        return self._server.address

    @property
    def metrics_address(self) -> str:
        """Where Prometheus asks, "" without such a port."""
        return "" if self._metrics is None else self._metrics.address

    def status(self) -> NodeStatus:
        """What it holds now."""
        return self._service.status()

    @property
    def preparing(self) -> bool:
        """Whether it prepares plans now."""
        return self._service.preparing > 0

    async def check(self) -> None:
        """Ask this replica at its own port, as an edge does. Raises Unavailable where no answer comes, and where what
        computes hangs: a port answers for it all the same."""
        self.node.check()
        await self._self_check.replica()

    async def drain(self) -> None:
        """Leave the registry, tell every edge, answer what was accepted, end."""
        await self._registration.close()
        await self._service.drain(self._settings.drain_s)
        await self._server.stop(self._settings.drain_s)
        await self._pool.aclose()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
        if self._metrics is not None:  # the last to go: a drain is something to watch
            await asyncio.to_thread(self._metrics.stop)


async def _measured(models: CloudModels, engine: Engine, pool: ComputePool) -> DeviceProfile:
    """This device, with every model that is served: one that does not fit beside the others is there for as long."""
    profile = await measured_profile({}, engine, pool)
    for digest in models.digests:
        async with models.using(digest) as held:
            profile = await with_op_times(profile, held.model, held.engine, pool)
            profile = await with_differences(profile, {held.model.name: held.model}, held.engine, pool)
    return profile


def _serve_metrics(
    settings: CloudSettings, node: CloudNode, service: SegmentService, models: CloudModels
) -> HttpServer:
    def facts() -> CloudFacts:
        return CloudFacts(
            status=service.status(),
            waiting=node.load().queued_requests,
            waiting_limit=settings.limits.queue,
            held_limit_bytes=settings.held_bytes,
            arriving_bytes=service.arriving_bytes,
            queue_s=node.queued_s,
            offered_s=node.offered_s,
            rejections=dict(service.rejections),
            wanted=node.wanted,
            stages=node.stage_counts(),
            suffixes=node.batch_counts,
            executions=replace(node.ledger.counts),
            models=models.counts(),
        )

    return HttpServer.start(
        metrics_routes(node_registry(facts, cloud_families)),
        settings.metrics_listen,
        "cloud.metrics_listen",
        settings.tls,
        require_clients=settings.require_clients,
    )
