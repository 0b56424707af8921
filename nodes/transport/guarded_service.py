"""A service's methods behind what reads their messages: what is no message is refused in words. A public service's are
behind its limits, too: so is what is too long, and clients beyond the number of connections.

The methods are wrapped once, when the service is registered; an interceptor would wrap them at every call, for as much
as a small request takes to be read.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError

from isthmus.errors import InvalidRequest, Overloaded, TooLarge
from nodes.limits import NodeLimits
from nodes.transport.connection_limit import ConnectionLimit
from nodes.transport.status import abort
from nodes.transport.unreadable_messages import Unreadable

__all__ = ["add_guarded", "add_readable", "sound"]

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
    connections = ConnectionLimit(limits)
    _add(server, service, register, lambda handler: _guarded(handler, connections, limits))


def add_readable(server: grpc.aio.Server, service: str, register: Callable[[Any], None]) -> None:
    """The same of a service that bounds its clients itself. Without this gRPC logs a traceback of each message that
    cannot be read, as many as somebody sends."""
    _add(server, service, register, _readable)


async def sound(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]) -> AsyncGenerator[Any]:
    """The messages of a stream whose servicer knows no `Unreadable`: the first one ends the call with its error."""
    async for request in requests:
        if isinstance(request, Unreadable):
            await abort(context, request.error)
        yield request


def _add(
    server: grpc.aio.Server, service: str, register: Callable[[Any], None], wrap: Callable[[Handler], Handler]
) -> None:
    registered = _Registered()
    register(registered)
    wrapped = {name: wrap(handler) for name, handler in registered.handlers.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))
    server.add_registered_method_handlers(service, wrapped)


def _readable(handler: Handler) -> Handler:
    assert handler.request_deserializer is not None
    read, write = _reader(handler.request_deserializer), handler.response_serializer
    if handler.stream_stream is not None:
        return grpc.stream_stream_rpc_method_handler(handler.stream_stream, read, write)
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(_refusing(handler.unary_stream), read, write)
    assert handler.unary_unary is not None
    return grpc.unary_unary_rpc_method_handler(_refusing(handler.unary_unary), read, write)


def _refusing(behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Of the kind that it was, which gRPC looks at."""

    async def refusing(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        if isinstance(request, Unreadable):
            await abort(context, request.error)
        return await behaviour(request, context)

    async def refusing_answers(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        if isinstance(request, Unreadable):
            await abort(context, request.error)
        async with contextlib.aclosing(behaviour(request, context)) as answers:
            async for answer in answers:
                yield answer

    return refusing_answers if inspect.isasyncgenfunction(behaviour) else refusing


def _guarded(handler: Handler, connections: ConnectionLimit, limits: NodeLimits) -> Handler:
    assert handler.request_deserializer is not None
    read, write = _reader(handler.request_deserializer, limits), handler.response_serializer
    if handler.stream_stream is not None:
        return grpc.stream_stream_rpc_method_handler(_counted(handler.stream_stream, connections), read, write)
    assert handler.unary_unary is not None
    return grpc.unary_unary_rpc_method_handler(_counted(handler.unary_unary, connections), read, write)


def _reader(deserialize: Callable[[bytes], Any], limits: NodeLimits | None = None) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            if limits is not None:
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
