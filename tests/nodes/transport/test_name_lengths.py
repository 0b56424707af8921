"""Names that clients make up are refused for their length before anything keeps or quotes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
import pytest

from isthmus.oip import open_inference_pb2 as oip
from nodes.transport.name_lengths import LONGEST_ID, LONGEST_NAME

if TYPE_CHECKING:
    from isthmus.oip.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub as Stub
    from tests.nodes.transport.conftest import DoublingNode

Ask = Callable[..., oip.ModelInferRequest]

PARAMETERS = ("isthmus_policy", "isthmus_plan", "isthmus_class", "isthmus_client")
MOST_SAID_BYTES = 2000


async def refused(call: Awaitable[object], code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> str:
    """What a call is told that is refused so."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code
    return caught.value.details() or ""


async def streamed(stub: Stub, request: oip.ModelInferRequest) -> oip.ModelStreamInferResponse:
    (answer,) = [answer async for answer in stub.ModelStreamInfer(iter([request]))]
    assert isinstance(answer, oip.ModelStreamInferResponse)
    return answer


def too_long(field: str, longest: int, length: int) -> str:
    return f"{field}: may have {longest} characters (got {length}); send {longest} characters or fewer"


@pytest.mark.parametrize("name", PARAMETERS)
async def test_a_parameter_is_refused_beyond_its_length(stub: Stub, ask: Ask, node: DoublingNode, name: str) -> None:
    request = ask()
    request.parameters[name].string_param = "x" * (LONGEST_NAME + 1)
    assert await refused(stub.ModelInfer(request)) == too_long(f"parameter {name}", LONGEST_NAME, LONGEST_NAME + 1)
    assert not node.requests


@pytest.mark.parametrize("name", PARAMETERS)
async def test_a_parameter_of_the_longest_length_passes(stub: Stub, ask: Ask, node: DoublingNode, name: str) -> None:
    request = ask()
    request.parameters[name].string_param = "é" * LONGEST_NAME
    await stub.ModelInfer(request)
    assert len(node.requests) == 1


async def test_an_id_comes_back_whole_up_to_its_length(stub: Stub, ask: Ask) -> None:
    token = "t" * LONGEST_ID
    assert (await stub.ModelInfer(ask(token))).id == token
    assert (await streamed(stub, ask(token))).infer_response.id == token
    longer = LONGEST_ID + 1
    assert await refused(stub.ModelInfer(ask("t" * longer))) == too_long("id", LONGEST_ID, longer)


async def test_a_streams_error_gives_only_the_beginning_of_what_is_too_long_back(stub: Stub, ask: Ask) -> None:
    request = ask("i" * 1_000_000)
    request.model_name = "m" * 1_000_000
    answer = await streamed(stub, request)
    assert answer.error_message.endswith("is not loaded")
    assert len(answer.error_message) < LONGEST_ID + MOST_SAID_BYTES
    assert answer.infer_response.id == "i" * LONGEST_ID
    assert answer.infer_response.model_name == "m" * LONGEST_NAME


async def test_a_long_name_of_a_model_is_quoted_without_its_middle(stub: Stub) -> None:
    for call in (
        stub.ModelInfer(oip.ModelInferRequest(model_name="m" * 1_000_000)),
        stub.ModelMetadata(oip.ModelMetadataRequest(name="m" * 1_000_000)),
        stub.ModelStatistics(oip.ModelStatisticsRequest(name="double", version="v" * 1_000_000)),
    ):
        assert len(await refused(call, grpc.StatusCode.NOT_FOUND)) < MOST_SAID_BYTES
    assert not (await stub.ModelReady(oip.ModelReadyRequest(name="m" * 1_000_000))).ready


async def test_an_input_is_quoted_without_its_middle(stub: Stub, ask: Ask) -> None:
    request = ask()
    request.inputs[0].name = "x" * 1_000_000
    assert len(await refused(stub.ModelInfer(request))) < MOST_SAID_BYTES
    assert len((await streamed(stub, request)).error_message) < MOST_SAID_BYTES
