"""Messages that are no messages, or too long: without this, gRPC ends the calls of the first with UNKNOWN and a
traceback in the log, and those of the others in words that name no limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from isthmus.errors import InvalidInput, InvalidRequest, TooLarge
from nodes.limits import NodeLimits
from nodes.transport.status import abort

__all__ = ["RefuseUnreadable", "Unreadable"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What arrived instead of a message."""

    error: InvalidInput


class RefuseUnreadable(grpc.aio.ServerInterceptor):
    """An error for a unary call's. A stream's reader gets an Unreadable in its place and goes on."""

    def __init__(self, service: str, limits: NodeLimits) -> None:
        """service: full name of the service to watch; others go through untouched."""
        self._limits = limits
        self._prefix = f"/{service}/"
        self._watched: dict[object, grpc.RpcMethodHandler[Any, Any]] = {}  # by the handler that each was made of

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """See grpc.aio.ServerInterceptor."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        if not handler_call_details.method.startswith(self._prefix):
            return handler
        watched = self._watched.get(handler)
        if watched is None:  # once a method, not once a call: a server has the same handlers all its life
            watched = self._watched[handler] = _watched(handler, self._limits)
        return watched


def _watched(handler: grpc.RpcMethodHandler[Any, Any], limits: NodeLimits) -> grpc.RpcMethodHandler[Any, Any]:
    assert handler.request_deserializer is not None
    read, write = _reader(handler.request_deserializer, limits), handler.response_serializer
    if handler.stream_stream is not None:
        return grpc.stream_stream_rpc_method_handler(handler.stream_stream, read, write)
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(_refusing(handler.unary_unary), read, write)
    return handler


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


def _refusing(behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def refusing(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        if isinstance(request, Unreadable):
            await abort(context, request.error)
        return await behaviour(request, context)

    return refusing
