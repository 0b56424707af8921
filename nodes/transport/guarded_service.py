"""A public service's methods behind its limits: what is no message or too long is refused in words, so are clients
beyond the number of connections.

The methods are wrapped once, when the service is registered; an interceptor would wrap them at every call, for as much
as a small request takes to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError

from isthmus.errors import InvalidRequest, Overloaded, TooLarge
from nodes.limits import NodeLimits
from nodes.transport.connection_limit import ConnectionLimit
from nodes.transport.status import abort
from nodes.transport.unreadable_messages import Unreadable

__all__ = ["add_guarded"]

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # generic in the stubs only


class _Registered:
    """Stands in for a server, to learn the handlers that generated code makes of a servicer."""

    def __init__(self) -> None:
        self.handlers: Mapping[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The same methods in the older form."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        self.handlers = handlers


def add_guarded(server: grpc.aio.Server, service: str, register: Callable[[Any], None], limits: NodeLimits) -> None:
    """Add the methods of `service` to `server`. register: hands a servicer's methods to the server that it is given.

    A unary call's message that cannot be read or is too long ends it with an error; the reader of a stream gets an
    `Unreadable` in its place and goes on.
    """
    registered, connections = _Registered(), ConnectionLimit(limits)
    register(registered)
    guarded = {name: _guarded(handler, connections, limits) for name, handler in registered.handlers.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, guarded),))
    server.add_registered_method_handlers(service, guarded)


def _guarded(handler: Handler, connections: ConnectionLimit, limits: NodeLimits) -> Handler:
    assert handler.request_deserializer is not None
    read, write = _reader(handler.request_deserializer, limits), handler.response_serializer
    if handler.stream_stream is not None:
        return grpc.stream_stream_rpc_method_handler(_counted(handler.stream_stream, connections), read, write)
    assert handler.unary_unary is not None
    return grpc.unary_unary_rpc_method_handler(_counted(handler.unary_unary, connections), read, write)


def _reader(deserialize: Callable[[bytes], Any], limits: NodeLimits) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            limits.check_message("a message", len(data))
            return deserialize(data)
        except DecodeError as error:
            return Unreadable(InvalidRequest("message", f"cannot be read: {error}"))
        except TooLarge as error:
            return Unreadable(error)

    return read


def _counted(behaviour: Callable[[Any, Any], Any], connections: ConnectionLimit) -> Callable[[Any, Any], Any]:
    async def counted(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        peer = context.peer()
        try:
            connections.enter(peer)
        except Overloaded as error:
            await abort(context, error)
        try:
            if isinstance(request, Unreadable):
                await abort(context, request.error)
            return await behaviour(request, context)
        finally:
            connections.leave(peer)

    return counted
