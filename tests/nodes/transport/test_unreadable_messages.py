"""Whatever arrives, it is answered with a status that says whose fault it is, and the server goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.oip import open_inference_pb2 as oip
from nodes.transport.gateway_server import GatewayService

if TYPE_CHECKING:
    from nodes.gateway import Gateway

    StreamMethod = grpc.aio.StreamStreamMultiCallable[bytes, oip.ModelStreamInferResponse]

METHODS = (
    "ModelInfer", "ModelConfig", "ModelMetadata", "ModelReady", "ModelStatistics", "RepositoryIndex",
    "RepositoryModelLoad", "RepositoryModelUnload", "ServerLive", "ServerReady", "ServerMetadata",
)  # fmt: skip
CLIENTS_FAULT = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}

names = st.sampled_from(["double", "", "x", "y"]) | st.text(max_size=4)
parameters = st.dictionaries(
    st.sampled_from(["timeout", "priority", "isthmus_policy", "sequence_id", "classification", "other"]),
    st.builds(
        oip.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)
    ) | st.builds(oip.InferParameter, string_param=st.text(max_size=3)) | st.builds(oip.InferParameter),
    max_size=2,
)  # fmt: skip
datatypes = st.sampled_from(["FP32", "BYTES", "BOOL", "FP16", "BF16", "INT64", "UINT8", "", "X"])
contents = st.builds(
    oip.InferTensorContents,
    fp32_contents=st.lists(st.floats(width=32), max_size=4),
    bool_contents=st.lists(st.booleans(), max_size=2),
    int64_contents=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2),
    uint_contents=st.lists(st.integers(0, 2**32 - 1), max_size=2),
    bytes_contents=st.lists(st.binary(max_size=5), max_size=2),
)
tensors = st.builds(
    oip.ModelInferRequest.InferInputTensor,
    name=names,
    datatype=datatypes,
    shape=st.lists(st.sampled_from([0, 1, 3, -1, 2**62, -(2**63)]), max_size=4),
    parameters=parameters,
    contents=st.none() | contents,
)
outputs = st.builds(oip.ModelInferRequest.InferRequestedOutputTensor, name=names, parameters=parameters)
requests = st.builds(
    oip.ModelInferRequest,
    model_name=names,
    model_version=st.sampled_from(["", "1"]),
    id=st.text(max_size=3),
    parameters=parameters,
    inputs=st.lists(tensors, max_size=2),
    outputs=st.lists(outputs, max_size=2),
    raw_input_contents=st.lists(st.binary(max_size=24), max_size=2),
)


@asynccontextmanager
async def served(node: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    server = GatewayService(node, "1").server()
    address = await server.start("127.0.0.1:0", "edge.listen")
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel
    await server.stop(0)


async def status(channel: grpc.aio.Channel, method: str, message: bytes) -> grpc.StatusCode:
    return await unary(channel, method)(message).code()


def unary(channel: grpc.aio.Channel, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(f"/inference.GRPCInferenceService/{method}")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=4, max_size=8))
def test_bytes_that_are_no_message(doubling: Callable[[], Gateway], junk: list[bytes]) -> None:
    async def run() -> None:
        async with served(doubling()) as channel:
            for method in METHODS:
                said = await asyncio.gather(*(status(channel, method, one) for one in junk))
                assert set(said) <= CLIENTS_FAULT

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(st.lists(requests, min_size=8, max_size=16))
def test_messages_that_make_no_request(doubling: Callable[[], Gateway], given_: list[oip.ModelInferRequest]) -> None:
    messages = [one.SerializeToString() for one in given_]

    async def run() -> None:
        async with served(doubling()) as channel:
            assert {await status(channel, "ModelInfer", one) for one in messages} <= CLIENTS_FAULT
            stream: StreamMethod = channel.stream_stream(
                "/inference.GRPCInferenceService/ModelStreamInfer",
                response_deserializer=oip.ModelStreamInferResponse.FromString,
            )
            answers = [answer async for answer in stream(iter(messages))]
            assert len(answers) == len(messages)
            assert not [answer for answer in answers if "internal error" in answer.error_message]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("junk", "words"), [(b"\xff" * 10, "Wire format"), (b"\x0a\x02\xff\xfe", "UTF-8")], ids=["wire", "text"]
)
def test_it_is_told_what_is_wrong(doubling: Callable[[], Gateway], junk: bytes, words: str) -> None:
    async def run() -> tuple[grpc.StatusCode, str]:
        async with served(doubling()) as channel:
            call = unary(channel, "ModelInfer")(junk)
            return await call.code(), await call.details()

    code, details = asyncio.run(run())
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert words in details
