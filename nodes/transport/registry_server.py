"""The fleet registry on an address of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from isthmus.telemetry import get_logger
from isthmus.v1 import fleet_pb2, fleet_pb2_grpc
from nodes.tls_files import TlsFiles
from nodes.transport.fleet_service import EndpointMapper, FleetBook, FleetService
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.guarded_service import add_readable

__all__ = ["RegistryServer"]

SERVICE = fleet_pb2.DESCRIPTOR.services_by_name["FleetService"].full_name
STOP_GRACE_S = 1.0


class RegistryServer:
    """Make it with `await RegistryServer.start(...)`, end it with `stop`."""

    def __init__(self, service: FleetService, server: GrpcServer) -> None:
        self._service = service
        self._server = server

    @classmethod
    async def start(
        cls,
        book: FleetBook,
        listen: str,
        *,
        endpoint_mapper: EndpointMapper | None = None,
        on_want: Callable[[], None] | None = None,
        emulated_link: str = "",
        tls: TlsFiles | None = None,
        require_clients: bool = True,
    ) -> RegistryServer:
        """Serve `book` at `listen` ("127.0.0.1:8100"; port 0 takes a free one).

        endpoint_mapper: what edges dial instead of what a replica advertises. on_want, emulated_link: see FleetService.
        tls, require_clients: as for a replica. Raises PortInUse, InvalidConfiguration for an address or a TLS file that
        is none.
        """
        service = FleetService(book, endpoint_mapper=endpoint_mapper, on_want=on_want, emulated_link=emulated_link)
        register = partial(fleet_pb2_grpc.add_FleetServiceServicer_to_server, service)
        server = GrpcServer([SERVICE], lambda server: add_readable(server, SERVICE, register))
        address = await server.start(listen, "cloud.registry_listen", tls, require_clients=require_clients)
        service.start()
        await server.set_serving(True)
        get_logger("registry").info("fleet registry serves", address=address)
        return cls(service, server)

    @property
    def address(self) -> str:
        """Where it answers."""
        return self._server.address

    async def stop(self) -> None:
        """End the watches and stop serving. Replicas and edges come back when a registry is there again."""
        await self._service.close()
        await self._server.stop(STOP_GRACE_S)
