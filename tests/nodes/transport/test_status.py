"""What a client sees of an error: always the one that there was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from isthmus.errors import Unsupported
from isthmus.oip import open_inference_pb2 as oip
from nodes.transport.status import MOST_TOLD_BYTES, error_of

if TYPE_CHECKING:
    from isthmus.oip.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub as Stub

Ask = Callable[..., oip.ModelInferRequest]
LONG = pytest.mark.parametrize("letter", ["a", "é", "\N{GRINNING FACE}", "\n"])


async def refused(call: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value


@LONG
async def test_a_model_with_a_long_name_is_not_found(stub: Stub, ask: Ask, letter: str) -> None:
    request = ask()
    request.model_name = 10_000 * letter
    error = await refused(stub.ModelInfer(request))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    details = error.details() or ""
    assert details.startswith("model '")
    assert details.endswith(" is not loaded")
    assert "…" in details


@LONG
async def test_an_input_with_a_long_name_is_refused_with_the_remedy(stub: Stub, ask: Ask, letter: str) -> None:
    request = ask()
    request.inputs[0].name = 10_000 * letter
    error = await refused(stub.ModelInfer(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = error.details() or ""
    assert details.startswith(f"input {letter}")
    assert details.endswith("model double has no such input; send x")
    assert len(details.encode()) <= MOST_TOLD_BYTES + len("…".encode())


async def test_what_is_short_is_told_as_it_is(stub: Stub, ask: Ask) -> None:
    request = ask()
    request.model_name = 400 * "a"
    assert (await refused(stub.ModelInfer(request))).details() == f"model {request.model_name!r} is not loaded"


async def test_a_method_that_is_not_there_has_its_reason_in_the_details(channel: grpc.aio.Channel) -> None:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/inference.GRPCInferenceService/TraceSetting"
    )
    error = await refused(method(b"anything"))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    info = error_details_pb2.ErrorInfo()
    rpc_status.from_call(error).details[0].Unpack(info)  # type: ignore[arg-type]
    assert (info.reason, info.domain) == ("UNSUPPORTED", "isthmus")
    assert isinstance(error_of(error, "edge"), Unsupported)
