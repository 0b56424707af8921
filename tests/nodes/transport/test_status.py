"""What a client sees of an error: always the one that there was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from isthmus.errors import MOST_TOLD_BYTES, CloudUnavailable, ComputeFailed, Unsupported
from isthmus.oip import open_inference_pb2 as oip
from nodes.transport.gateway_server import GatewayService
from nodes.transport.status import error_of
from tests.nodes.transport.conftest import DoublingNode

if TYPE_CHECKING:
    from isthmus.oip.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub as Stub

Ask = Callable[..., oip.ModelInferRequest]
LONG = pytest.mark.parametrize("letter", ["a", "é", "\N{GRINNING FACE}", "\n"])


async def refused(call: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value


def info_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    rpc_status.from_call(error).details[0].Unpack(info)  # type: ignore[arg-type]
    return info


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


@pytest.mark.parametrize(("model", "first"), [("double", -1.0), ("double", -2.0), ("other", 1.0)])
async def test_every_error_of_a_request_names_it_as_its_node_and_its_operator_do(
    stub: Stub, ask: Ask, node: DoublingNode, service: GatewayService, model: str, first: float
) -> None:
    request = ask(first=first)
    request.model_name = model
    info = info_of(await refused(stub.ModelInfer(request)))
    assert len(info.metadata["request_id"]) == 32
    assert info.metadata["request_id"] == service.failures.kept[-1].request_id
    assert [one.request_id for one in node.requests] == [info.metadata["request_id"]] * (model == "double")


async def test_what_is_short_is_told_as_it_is(stub: Stub, ask: Ask) -> None:
    request = ask()
    request.model_name = 400 * "a"
    assert (await refused(stub.ModelInfer(request))).details() == f"model {request.model_name!r} is not loaded"


@pytest.mark.parametrize(
    ("details", "kind"), [("Internal error from Core", CloudUnavailable), ("a kernel failed", ComputeFailed)]
)
def test_a_call_that_broke_says_nothing_of_the_server(details: str, kind: type[Exception]) -> None:
    nothing = grpc.aio.Metadata()
    failed = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, nothing, nothing, details)
    assert isinstance(error_of(failed, "cloud:1"), kind)


async def test_a_method_that_is_not_there_has_its_reason_in_the_details(channel: grpc.aio.Channel) -> None:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/inference.GRPCInferenceService/TraceSetting"
    )
    error = await refused(method(b"anything"))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    info = info_of(error)
    assert (info.reason, info.domain, dict(info.metadata)) == ("UNSUPPORTED", "isthmus", {})
    assert isinstance(error_of(error, "edge"), Unsupported)
