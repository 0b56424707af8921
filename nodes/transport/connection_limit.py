"""A bound on the clients that a server serves at once."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc

from isthmus.errors import Overloaded
from nodes.limits import NodeLimits
from nodes.transport.status import abort

__all__ = ["ConnectionLimit"]


class ConnectionLimit(grpc.aio.ServerInterceptor):
    """Refuses a call with RESOURCE_EXHAUSTED while so many other connections have calls under way.

    A connection without a call under way holds next to nothing, and is not counted.
    """

    def __init__(self, service: str, limits: NodeLimits) -> None:
        """service: full name of the service to watch; others (health) go through untouched."""
        self._prefix = f"/{service}/"
        self._limits = limits
        self._calls: Counter[str] = Counter()  # under way, by connection

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """See grpc.aio.ServerInterceptor."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(self._prefix):
            return handler
        read, write = handler.request_deserializer, handler.response_serializer
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._counted(handler.stream_stream), read, write)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._counted(handler.unary_unary), read, write)
        return handler

    def _counted(self, behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        async def counted(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            peer = context.peer()
            try:
                if peer not in self._calls:
                    self._limits.check_connections(len(self._calls))
            except Overloaded as error:
                await abort(context, error)
            with self._under_way(peer):
                return await behaviour(request, context)

        return counted

    @contextlib.contextmanager
    def _under_way(self, peer: str) -> Iterator[None]:
        self._calls[peer] += 1
        try:
            yield
        finally:
            self._calls[peer] -= 1
            if not self._calls[peer]:
                del self._calls[peer]
