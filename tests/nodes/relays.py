"""What stands before replicas elsewhere, small and real: a proxy that reads a call's metadata (L7), a balancer that
sees connections only (L4)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

__all__ = ["ROUTE", "balancer", "metadata_proxy"]

ROUTE = "x-isthmus-replica"
_Context = grpc.aio.ServicerContext[bytes, bytes]


class _Forwarding(grpc.GenericRpcHandler):
    """Every call, as bytes, to the address that its metadata names."""

    def __init__(self) -> None:
        self.channels: dict[str, grpc.aio.Channel] = {}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        route = dict(details.invocation_metadata or ()).get(ROUTE)
        if route is None:
            return None
        channel = self.channels.setdefault(str(route), grpc.aio.insecure_channel(str(route)))
        if details.method.endswith("/Run"):

            async def streamed(frames: AsyncIterator[bytes], context: _Context) -> AsyncIterator[bytes]:
                call: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(details.method)
                async for frame in call(frames):
                    yield frame

            return grpc.stream_stream_rpc_method_handler(streamed)

        async def asked(request: bytes, context: _Context) -> bytes:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(details.method)
            return await call(request)

        return grpc.unary_unary_rpc_method_handler(asked)


@contextlib.asynccontextmanager
async def metadata_proxy() -> AsyncIterator[str]:
    """The address of one that forwards to whatever address stands in the metadata ROUTE, and refuses calls without."""
    forwarding, server = _Forwarding(), grpc.aio.server()
    server.add_generic_rpc_handlers((forwarding,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
        for channel in forwarding.channels.values():
            await channel.close()


@contextlib.asynccontextmanager
async def balancer(targets: Sequence[str]) -> AsyncIterator[str]:
    """The address of one that hands its connections to the targets (looked at anew each time) in turn."""
    turn, moving = itertools.count(), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = targets[next(turn) % len(targets)].rpartition(":")
        try:
            there, back = await asyncio.open_connection(host, int(port))
        except OSError:  # that one is dead: its clients are told by the end of their connection
            writer.close()
            return
        for task in (asyncio.create_task(_moved(reader, back)), asyncio.create_task(_moved(there, writer))):
            moving.add(task)
            task.add_done_callback(moving.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for task in moving:
            task.cancel()
        await asyncio.gather(*moving, return_exceptions=True)


async def _moved(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
