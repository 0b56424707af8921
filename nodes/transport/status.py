"""Errors as gRPC statuses with standard details, and back: one place for every server and client."""

from __future__ import annotations

from typing import NoReturn, TypeVar

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from isthmus.errors import (
    CloudUnavailable,
    DeadlineUnreachable,
    InvalidInput,
    IsthmusError,
    Overloaded,
    Shed,
    TooLarge,
    error_from_status,
    grpc_status_name,
    shortened,
)

__all__ = ["abort", "error_of", "status_message"]

DOMAIN = "isthmus"

Request = TypeVar("Request")
Response = TypeVar("Response")


async def abort(
    context: grpc.aio.ServicerContext[Request, Response], error: BaseException, request_id: str = ""
) -> NoReturn:
    """End the call with the status that `error` stands for, an ErrorInfo and, for a bad field, a BadRequest, for what
    waiting would help a RetryInfo. request_id: what an operator can ask for, "" for a call that is no request."""
    name, metadata = grpc_status_name(error), _metadata(error, request_id)
    details = [_packed(error_details_pb2.ErrorInfo(reason=_reason(error), domain=DOMAIN, metadata=metadata))]
    if isinstance(error, InvalidInput):
        field, problem = shortened(error.field), shortened(error.problem)
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=problem)
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    if isinstance(error, Overloaded | DeadlineUnreachable) and error.retry_after_s is not None:
        delay = Duration()
        delay.FromMicroseconds(round(error.retry_after_s * 1e6))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    status = rpc_status.to_status(
        status_pb2.Status(code=code_pb2.Code.Value(name), message=status_message(error), details=details)
    )
    await context.abort(status.code, status.details or "", status.trailing_metadata or ())


def status_message(error: BaseException) -> str:
    """What a client is told of `error`: nothing of the inside where nobody planned it, nothing very long."""
    return shortened(str(error)) if isinstance(error, IsthmusError) else f"internal error: {type(error).__name__}"


def _packed(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def _metadata(error: BaseException, request_id: str) -> dict[str, str]:
    found = {"request_id": request_id} if request_id else {}
    if isinstance(error, DeadlineUnreachable) and error.predicted_s is not None:
        found["predicted_ms"] = f"{error.predicted_s * 1e3:.3f}"
    return found


def _reason(error: BaseException) -> str:
    """UPPER_SNAKE_CASE of the error's class, as google.rpc.ErrorInfo asks."""
    name = type(error).__name__
    return "".join(("_" + c if c.isupper() and i else c).upper() for i, c in enumerate(name))


# What grpc.aio says, as INTERNAL, of a call whose connection broke under it: no word of the server's.
_BROKEN_CALL = "Internal error from Core"


def error_of(call_error: grpc.RpcError, target: str) -> IsthmusError:
    """The error that a failed call stands for. A server that cannot be reached is CloudUnavailable naming `target`."""
    code = call_error.code() if isinstance(call_error, grpc.aio.AioRpcError | grpc.Call) else None
    details = (call_error.details() if isinstance(call_error, grpc.aio.AioRpcError | grpc.Call) else "") or str(
        call_error
    )
    if code is None or code is grpc.StatusCode.UNAVAILABLE or details == _BROKEN_CALL:
        return CloudUnavailable(f"{target}: {details}")
    info = _error_info(call_error)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        if info.reason == "TOO_LARGE" or "message larger than max" in details:  # the server, or gRPC itself
            return TooLarge("request", details)
        kind = Shed if info.reason == "SHED" else Overloaded
        return kind(details, retry_after_s=_retry_after_s(call_error) or 1.0)
    if info.reason == "DEADLINE_UNREACHABLE":
        predicted_s = float(info.metadata.get("predicted_ms", "nan")) / 1e3
        return DeadlineUnreachable(details, predicted_s=predicted_s, retry_after_s=_retry_after_s(call_error))
    return error_from_status(code.name, details)


def _error_info(call_error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    """What a server says of the error; empty where it says nothing."""
    status = rpc_status.from_call(call_error)  # type: ignore[arg-type]
    info = error_details_pb2.ErrorInfo()
    for detail in () if status is None else status.details:
        if detail.Unpack(info):
            break
    return info


def _retry_after_s(call_error: grpc.RpcError) -> float | None:
    """What a server's RetryInfo says; None where it says nothing."""
    status = rpc_status.from_call(call_error)  # type: ignore[arg-type]
    for detail in () if status is None else status.details:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None
