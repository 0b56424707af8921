"""Many requests on one stream: order, bounds, ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from nodes.transport.infer_stream import InferStream


class Client:
    """Sends numbers; each is answered when it is released, or at once."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[int | None] = asyncio.Queue()
        self.got: list[int] = []
        self.under_way: dict[int, asyncio.Future[None]] = {}
        self.read = 0
        self.moved = asyncio.Event()
        self.draining = asyncio.Event()

    async def requests(self) -> AsyncIterator[int]:
        while (request := await self.sent.get()) is not None:
            self.read += 1
            yield request

    async def answer(self, request: int) -> int:
        self.under_way[request] = asyncio.get_running_loop().create_future()
        self.moved.set()
        try:
            await self.under_way[request]
        finally:
            del self.under_way[request]
        return -request

    async def receive(self, response: int) -> None:
        self.got.append(response)
        self.moved.set()

    def stream(self, most: int = 4) -> asyncio.Task[bool]:
        return asyncio.create_task(InferStream(self.requests(), self.answer, self.receive, most).run(self.draining))

    def send(self, *requests: int | None) -> None:
        for request in requests:
            self.sent.put_nowait(request)

    async def until(self, under_way: set[int], got: int = 0) -> None:
        async with asyncio.timeout(5):
            while self.under_way.keys() != under_way or len(self.got) < got:
                self.moved.clear()
                await self.moved.wait()


async def test_answers_go_out_as_they_are_done_not_as_they_were_asked() -> None:
    client = Client()
    stream = client.stream()
    client.send(1, 2, 3, None)
    await client.until({1, 2, 3})
    for finished in (3, 1, 2):
        client.under_way[finished].set_result(None)
        await client.until(client.under_way.keys() - {finished}, got=len(client.got) + 1)
    assert await stream
    assert client.got == [-3, -1, -2]


async def test_no_more_than_the_bound_is_read() -> None:
    client = Client()
    stream = client.stream(most=2)
    client.send(1, 2, 3, 4, None)
    await client.until({1, 2})
    assert client.read == 2
    client.under_way[2].set_result(None)
    await client.until({1, 3}, got=1)
    assert client.read == 3
    stream.cancel()


async def test_a_client_that_leaves_takes_back_what_is_under_way() -> None:
    client = Client()
    stream = client.stream()
    client.send(1, 2)
    await client.until({1, 2})
    stream.cancel()
    await asyncio.wait([stream])
    assert stream.cancelled()
    assert client.under_way == {}
    assert client.got == []


async def test_a_drain_answers_what_was_read_and_reads_nothing_more() -> None:
    client = Client()
    stream = client.stream()
    client.send(1)
    await client.until({1})
    client.draining.set()
    client.under_way[1].set_result(None)
    assert not await stream
    assert client.got == [-1]


async def test_a_drain_ends_a_stream_that_is_silent() -> None:
    client = Client()
    stream = client.stream()
    client.draining.set()
    assert not await stream


async def test_a_stream_without_requests_ends_well() -> None:
    client = Client()
    client.send(None)
    assert await client.stream()
