"""A grpc.aio server with health and reflection: bind, start, drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from isthmus.addresses import format_address, parse_address
from isthmus.errors import PortInUse
from nodes.tls_files import TlsFiles
from nodes.transport.channel_options import SERVER_OPTIONS
from nodes.transport.credentials import server_credentials
from nodes.transport.guarded_service import add_readable, sound

__all__ = ["GrpcServer"]

LAST_WORD_S = 0.1
"""For those who watch the server's health to be told that it ends."""

AddServices = Callable[[grpc.aio.Server], None]


class GrpcServer:
    """One server of one node. `address` is known once started: port 0 takes a free one."""

    def __init__(
        self,
        services: Sequence[str],
        add_services: AddServices,
        options: Sequence[tuple[str, int]] = SERVER_OPTIONS,
    ) -> None:
        """services: full names, for health and reflection. add_services: registers the servicers."""
        self._services = tuple(services)
        self._server = grpc.aio.server(options=options)
        self._health = _Health()
        add_services(self._server)
        names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        register_health = partial(health_pb2_grpc.add_HealthServicer_to_server, self._health)
        register_reflection = partial(reflection_pb2_grpc.add_ServerReflectionServicer_to_server, _Reflection(names))
        add_readable(self._server, health.SERVICE_NAME, register_health)
        add_readable(self._server, reflection.SERVICE_NAME, register_reflection)
        self.address = ""

    async def start(
        self, listen: str, field: str, tls: TlsFiles | None = None, *, require_clients: bool = False
    ) -> str:
        """Bind and serve; returns the address bound. require_clients: see `server_credentials`.

        Raises PortInUse naming `field`, InvalidConfiguration for TLS files that are not what they should be.
        """
        host, port = parse_address(listen, field)
        side = field.partition(".")[0]
        secured = None
        if tls is not None:
            secured = server_credentials(tls, require_clients=require_clients, field=f"{side}.tls")
        try:
            bound = self._bind(format_address(host, port), secured)
        except RuntimeError as error:
            raise PortInUse(f"{field}: cannot listen on {listen}: {error}; free the port or choose another") from error
        if bound == 0:
            raise PortInUse(f"{field}: cannot listen on {listen}; free the port or choose another")
        await self._server.start()
        self.address = format_address(host, bound)
        return self.address

    def _bind(self, address: str, secured: grpc.ServerCredentials | None) -> int:
        if secured is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, secured)

    async def set_serving(self, serving: bool) -> None:
        """What grpc.health.v1 answers, for the server and each service."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._services):
            await self._health.set(name, status)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls at once, let those under way end within the grace."""
        await self._health.enter_graceful_shutdown()
        stopping = asyncio.ensure_future(self._server.stop(grace_s))
        await self._health.end_watches()
        await stopping


class _Health(health.aio.HealthServicer):
    """gRPC's own, whose watches go on until their clients leave: a stop would wait for them."""

    def __init__(self) -> None:
        super().__init__()
        self._watches = set[asyncio.Task[None]]()
        self._over = False

    async def Watch(  # noqa: N802 (the schema's name)
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        watch = asyncio.ensure_future(super().Watch(request, context))
        self._watches.add(watch)
        try:
            await asyncio.wait([watch], timeout=LAST_WORD_S if self._over else None)
        finally:
            watch.cancel()
            self._watches.discard(watch)
        if watch.done() and not watch.cancelled():
            watch.result()  # it raises what writing did

    async def end_watches(self) -> None:
        """Once they have said what there was to say, and those that come yet."""
        self._over = True
        if self._watches:
            await asyncio.sleep(LAST_WORD_S)
        for watch in self._watches:
            watch.cancel()


class _Reflection(reflection.aio.ReflectionServicer):
    """gRPC's own, which knows no message that cannot be read."""

    # The stubs have coroutines here, where gRPC has generators.
    async def ServerReflectionInfo(  # type: ignore[override] # noqa: N802 (the schema's name)
        self, request_iterator: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        answers: Any = super().ServerReflectionInfo(sound(request_iterator, context), context)
        async for answer in answers:
            yield answer
