"""The methods of Triton's service that make no sense here: answered with what is missing and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from isthmus.errors import Unsupported
from nodes.transport.status import abort

__all__ = ["UnsupportedMethods"]

_SHARED_MEMORY = "shared memory is not supported: send tensors in messages"
_TRACE = "trace settings are not supported: every answer's parameters say where its time went"
_LOG = "log settings are not supported: a node's log is set where it is started"
_WHY: Mapping[str, str] = {
    **{
        f"{kind}SharedMemory{verb}": _SHARED_MEMORY
        for kind in ("System", "Cuda")
        for verb in ("Status", "Register", "Unregister")
    },
    "TraceSetting": _TRACE,
    "LogSettings": _LOG,
}


class UnsupportedMethods(grpc.GenericRpcHandler):
    """UNIMPLEMENTED with a reason, whatever the message holds: none of it is parsed."""

    def __init__(self, service: str) -> None:
        """service: full name of the service whose methods these would be."""
        self._prefix = f"/{service}/"

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of an unsupported method, None for any other."""
        reason = _WHY.get(handler_call_details.method.removeprefix(self._prefix))
        if reason is None:
            return None

        async def refuse(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            await abort(context, Unsupported(reason))

        return grpc.unary_unary_rpc_method_handler(refuse)
