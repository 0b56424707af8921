"""An edge as a whole: models, engine, node, gateway, the watch on the fleet; whatever hosts it starts and drains it."""

from __future__ import annotations

import socket

from isthmus.oip import open_inference_pb2, open_inference_pb2_grpc
from isthmus.telemetry import get_logger
from nodes.chooser import Chooser
from nodes.cloud_connection import CloudConnection
from nodes.compute_pool import ComputePool
from nodes.edge_node import ChooserObserver, EdgeNode
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.factory import engine_for
from nodes.model_loading import load_models, measured_profile
from nodes.plan_builder import PlanBuilder
from nodes.settings import EdgeSettings
from nodes.transport.fleet_client import FleetWatch
from nodes.transport.gateway_server import GatewayService
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.segment_client import SegmentClient
from partitioner.plan import Plan

__all__ = ["EdgeHost"]

SERVICE = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
VERSION = "0.1.0"


class EdgeHost:
    """`await EdgeHost.start(settings, chooser)`, then `await host.drain()` once."""

    def __init__(
        self, settings: EdgeSettings, node: EdgeNode, pool: ComputePool, server: GrpcServer, watch: FleetWatch | None
    ) -> None:
        self._settings = settings
        self.node = node
        self._pool = pool
        self._server = server
        self._watch = watch

    @classmethod
    async def start(cls, settings: EdgeSettings, chooser: Chooser) -> EdgeHost:
        """Load, measure, serve edge-only plans, then look for the cloud. Raises DeviceUnavailable, InvalidModel,
        PortInUse; a cloud that is not there is no error."""
        keep_freed_memory()
        edge_id = f"{socket.gethostname()}:{settings.listen}"
        engine = engine_for(settings.engine, device=settings.device, threads=settings.threads)
        pool = ComputePool(settings.threads, name="prefix")
        models = await pool.run(load_models, settings.models)
        slowed = engine_for(
            settings.engine, device=settings.device, threads=settings.threads, slowdown=settings.slowdown
        )
        profile = await measured_profile(models, slowed, pool)
        given = {artifact.name: tuple(map(Plan.from_json, artifact.plans)) for artifact in settings.models}
        builders = {
            name: await pool.run(PlanBuilder, model, engine, settings.slowdown, given[name])
            for name, model in models.items()
        }
        observer = ChooserObserver(chooser)

        async def dial(target: str) -> CloudConnection:
            return await SegmentClient.connect(target, edge_id, observer, chooser.cloud_queue())

        node = EdgeNode(builders, models, profile, chooser, pool, dial)
        await node.start()
        service = GatewayService(node, VERSION)
        server = GrpcServer(
            [SERVICE],
            lambda server: open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server),
        )
        address = await server.start(settings.listen, "edge.listen")
        await server.set_serving(True)
        watch = FleetWatch(settings.registry, edge_id, node.replicas.follow) if settings.registry else None
        if watch is not None:
            watch.start()
        get_logger("edge").info("edge serves", address=address, policy=settings.policy)
        return cls(settings, node, pool, server, watch)

    @property
    def address(self) -> str:
        """Where the gateway answers."""
        return self._server.address

    async def drain(self) -> None:
        """Take nothing new, answer what was accepted, end."""
        await self._server.set_serving(False)
        if self._watch is not None:
            await self._watch.close()
        await self.node.drain(self._settings.drain_s)
        await self._server.stop(self._settings.drain_s)
        self._pool.close()
