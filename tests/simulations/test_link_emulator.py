"""The relay through real sockets."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from isthmus.errors import InvalidQuantity, PortInUse
from simulations.link_emulator import LinkEmulator, LinkShape

FAST = LinkShape(1e9, 1e9, 0.002)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Target:
    """A server that hands its connections' streams to the test, and closes all of them in the end."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[Streams] = asyncio.Queue()
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.connections.put_nowait((reader, writer))

    async def open(self, address: tuple[str, int]) -> Streams:
        """A client's connection, closed with the target."""
        reader, writer = await asyncio.open_connection(*address)
        self._writers.append(writer)
        return reader, writer

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)


@pytest_asyncio.fixture
async def target() -> AsyncIterator[Target]:
    server = Target()
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[LinkEmulator]:
    link = LinkEmulator(FAST)
    yield link
    await link.close()


async def connect(emulator: LinkEmulator, target: Target) -> tuple[Streams, Streams]:
    """(client's streams, target's streams) of one connection through the link."""
    address = await emulator.relay("127.0.0.1", 0, "127.0.0.1", target.port)
    client = await target.open(address)
    return client, await target.connections.get()


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the connection ends, cleanly or by a reset, without another byte."""
    try:
        return await asyncio.wait_for(reader.read(1), 5) == b""
    except ConnectionError:
        return True


async def test_bytes_arrive_unchanged_both_ways(emulator: LinkEmulator, target: Target) -> None:
    (reader, writer), (far_reader, far_writer) = await connect(emulator, target)
    up, down = random.Random(1).randbytes(1_000_000), random.Random(2).randbytes(700_000)
    writer.write(up)
    far_writer.write(down)
    arrived = await asyncio.gather(far_reader.readexactly(len(up)), reader.readexactly(len(down)))
    assert tuple(arrived) == (up, down)


async def test_a_message_is_never_faster_than_the_link(emulator: LinkEmulator, target: Target) -> None:
    (_, writer), (far_reader, _) = await connect(emulator, target)
    emulator.set_shape(LinkShape(8e6, 1e9, 0.04))
    started_s = asyncio.get_running_loop().time()
    writer.write(bytes(100_000))
    await far_reader.readexactly(100_000)
    assert asyncio.get_running_loop().time() - started_s >= 0.1 + 0.02


async def test_two_relays_share_one_link(emulator: LinkEmulator, target: Target) -> None:
    one, two = await connect(emulator, target), await connect(emulator, target)
    emulator.set_shape(LinkShape(8e6, 1e9, 0.0))
    started_s = asyncio.get_running_loop().time()
    for (_, writer), _ in (one, two):
        writer.write(bytes(50_000))
    await asyncio.gather(*(far_reader.readexactly(50_000) for _, (far_reader, _) in (one, two)))
    assert asyncio.get_running_loop().time() - started_s >= 0.1


async def test_a_half_close_leaves_the_other_way_open(emulator: LinkEmulator, target: Target) -> None:
    (reader, writer), (far_reader, far_writer) = await connect(emulator, target)
    writer.write(b"question")
    writer.write_eof()
    assert await far_reader.read() == b"question"
    far_writer.write(b"answer")
    far_writer.close()
    assert await reader.read() == b"answer"


async def test_a_sender_feels_that_the_receiver_does_not_read(emulator: LinkEmulator, target: Target) -> None:
    (_, writer), (far_reader, _) = await connect(emulator, target)
    size = 40_000_000  # more than all kernel buffers on the way take
    writer.write(bytes(size))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.5)
    received = 0
    while received < size:
        received += len(await far_reader.read(1 << 20))
    await writer.drain()


async def test_a_stall_holds_bytes_back(emulator: LinkEmulator, target: Target) -> None:
    (_, writer), (far_reader, _) = await connect(emulator, target)
    started_s = asyncio.get_running_loop().time()
    emulator.stall(0.2)
    writer.write(b"late")
    assert await far_reader.readexactly(4) == b"late"
    assert asyncio.get_running_loop().time() - started_s >= 0.2


async def test_a_cut_breaks_open_connections(emulator: LinkEmulator, target: Target) -> None:
    (reader, _), (far_reader, _) = await connect(emulator, target)
    emulator.cut()
    assert await closed(reader)
    assert await closed(far_reader)


async def test_a_cut_refuses_new_connections(emulator: LinkEmulator, target: Target) -> None:
    address = await emulator.relay("127.0.0.1", 0, "127.0.0.1", target.port)
    emulator.cut()
    reader, _ = await target.open(address)
    assert await closed(reader)
    assert target.connections.empty()
    assert not emulator._receivers


async def test_restore_lets_new_connections_through_on_the_same_port(emulator: LinkEmulator, target: Target) -> None:
    address = await emulator.relay("127.0.0.1", 0, "127.0.0.1", target.port)
    emulator.cut()
    emulator.restore()
    _, writer = await target.open(address)
    writer.write(b"back")
    far_reader, _ = await target.connections.get()
    assert await far_reader.readexactly(4) == b"back"


async def test_a_target_that_is_not_there_breaks_only_that_connection(emulator: LinkEmulator, target: Target) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    address = await emulator.relay("127.0.0.1", 0, "127.0.0.1", nobody)
    reader, _ = await target.open(address)
    assert await closed(reader)
    (_, other), (far_reader, _) = await connect(emulator, target)
    other.write(b"fine")
    assert await far_reader.readexactly(4) == b"fine"


async def test_a_reset_reaches_the_other_side_after_the_bytes_before_it(emulator: LinkEmulator, target: Target) -> None:
    (reader, _), (_, far_writer) = await connect(emulator, target)
    far_writer.write(b"last words")
    assert await reader.readexactly(10) == b"last words"
    far_writer.transport.abort()
    assert await closed(reader)


async def test_a_port_in_use_is_an_error(emulator: LinkEmulator, target: Target) -> None:
    with pytest.raises(PortInUse, match=str(target.port)):
        await emulator.relay("127.0.0.1", target.port, "127.0.0.1", target.port)


async def test_close_may_be_called_twice(emulator: LinkEmulator, target: Target) -> None:
    await connect(emulator, target)
    await emulator.close()
    await emulator.close()


@pytest.mark.parametrize(
    "values", [(0.0, 1.0, 0.0, 0.0), (1.0, float("nan"), 0.0, 0.0), (1.0, 1.0, -1.0, 0.0), (1.0, 1.0, 0.0, -1.0)]
)
def test_a_shape_that_no_link_has_is_refused(values: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidQuantity, match="link"):
        LinkShape(*values)


async def test_a_stall_of_negative_length_is_refused(emulator: LinkEmulator) -> None:
    with pytest.raises(InvalidQuantity, match="stall"):
        emulator.stall(-1.0)
