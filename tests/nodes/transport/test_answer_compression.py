"""Compressed messages, both ways: what is counted is what crosses the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.transport import answer_compression
from nodes.transport.channel_options import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from isthmus.oip.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub as Stub

LENGTH = 12_000  # of an id that is echoed: the fixture's tensors are small
ALGORITHMS = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}


class Relay:
    """Passes a connection on and counts the bytes each way."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self.up = self.down = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._target.rsplit(":", 1)
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        self._writers += [writer, there_writer]
        await asyncio.gather(self._pump(reader, there_writer, "up"), self._pump(there_reader, writer, "down"))

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            await writer.wait_closed()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str) -> None:
        while data := await source.read(1 << 16):
            setattr(self, way, getattr(self, way) + len(data))
            sink.write(data)


@pytest.fixture
async def relay(address: str) -> AsyncIterator[tuple[Relay, Stub]]:
    """A client of the served gateway, by a relay that counts."""
    relay = Relay(address)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield relay, open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
    await relay.close()
    server.close()
    await server.wait_closed()


@pytest.fixture
def long(ask: Callable[..., oip.ModelInferRequest]) -> oip.ModelInferRequest:
    """A request that compresses well, and whose answer does."""
    return ask("a" * LENGTH, 2.0)


@pytest.mark.parametrize("name", ALGORITHMS)
async def test_a_compressed_request_is_read(relay: tuple[Relay, Stub], long: oip.ModelInferRequest, name: str) -> None:
    counted, stub = relay
    answer = await stub.ModelInfer(long, compression=ALGORITHMS[name])
    assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == [4, 0, 10]
    assert counted.up < LENGTH / 4
    assert counted.down > LENGTH  # nobody asked for a compressed answer


@pytest.mark.parametrize("asked", ["gzip", "deflate", "br, GZIP;q=0.5", "gzip;q=0, deflate"])
async def test_an_answer_is_compressed_where_the_client_asks(
    relay: tuple[Relay, Stub], long: oip.ModelInferRequest, asked: str
) -> None:
    counted, stub = relay
    answer = await stub.ModelInfer(long, metadata=(("accept-encoding", asked),))
    assert answer.id == long.id
    assert counted.down < LENGTH / 4


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_long_answer_goes_as_it_is_and_the_next_one_does_not(
    relay: tuple[Relay, Stub],
    ask: Callable[..., oip.ModelInferRequest],
    long: oip.ModelInferRequest,
    monkeypatch: pytest.MonkeyPatch,
    streamed: bool,
) -> None:
    """It would hold up everybody's requests."""
    monkeypatch.setattr(answer_compression, "MOST_COMPRESSED_BYTES", LENGTH)
    counted, stub = relay
    asked = (("accept-encoding", "gzip"),)
    shorter = ask("a" * (LENGTH // 2), 2.0)
    if streamed:
        answers = [one.infer_response async for one in stub.ModelStreamInfer(iter([long, shorter]), metadata=asked)]
        assert {one.id for one in answers} == {long.id, shorter.id}
    else:
        assert (await stub.ModelInfer(long, metadata=asked)).id == long.id
        assert (await stub.ModelInfer(shorter, metadata=asked)).id == shorter.id
    assert LENGTH < counted.down < 1.4 * LENGTH


@pytest.mark.parametrize("asked", ["br", "gzip;q=0", "gzip; q=0.00, br", "identity,gzip", "identity,deflate,gzip"])
async def test_an_encoding_that_is_not_there_or_not_wanted_changes_nothing(
    relay: tuple[Relay, Stub], long: oip.ModelInferRequest, asked: str
) -> None:
    counted, stub = relay
    assert (await stub.ModelInfer(long, metadata=(("accept-encoding", asked),))).id == long.id
    assert counted.down > LENGTH


async def test_a_streams_answers_are_compressed_too(relay: tuple[Relay, Stub], long: oip.ModelInferRequest) -> None:
    counted, stub = relay
    stream = stub.ModelStreamInfer(
        iter([long] * 3), metadata=(("accept-encoding", "gzip"),), compression=grpc.Compression.Gzip
    )
    assert [answer.infer_response.id async for answer in stream] == [long.id] * 3
    assert counted.up < LENGTH / 4
    assert counted.down < LENGTH / 4


@pytest.mark.parametrize("name", ALGORITHMS)
async def test_a_small_message_that_grows_beyond_the_limit_is_refused(relay: tuple[Relay, Stub], name: str) -> None:
    counted, stub = relay
    bomb = oip.ModelInferRequest(model_name="double", raw_input_contents=[bytes(MAX_MESSAGE_BYTES + 1)])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ModelInfer(bomb, compression=ALGORITHMS[name])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert counted.up < MAX_MESSAGE_BYTES / 100
