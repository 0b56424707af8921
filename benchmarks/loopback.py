"""What the link's benchmark sends: messages and floods over plain sockets, and a warm grpc.aio stream."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from nodes.transport.channel_options import CHANNEL_OPTIONS, SERVER_OPTIONS
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess

__all__ = ["fairness", "grpc_one_way_times_s", "one_way_s", "sockets", "step_s"]

_CHUNK_BYTES = 1_000_000
_METHOD = "/benchmark/Send"


@contextlib.contextmanager
def sockets(link: LinkEmulatorProcess | None) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A sender and a receiver, joined through the link or directly."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        address = link.relay("127.0.0.1", 0, host, port) if link is not None else (host, port)
        with socket.create_connection(address) as sender, listener.accept()[0] as receiver:
            sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield sender, receiver


def one_way_s(sender: socket.socket, receiver: socket.socket, size_bytes: int) -> float:
    """Seconds from the start of sending to the last byte's arrival, on one clock."""
    data, buffer, started_s = bytes(size_bytes), bytearray(1 << 20), [0.0]

    def send() -> None:
        started_s[0] = time.perf_counter()
        sender.sendall(data)

    thread = threading.Thread(target=send)
    thread.start()
    received = 0
    while received < size_bytes:
        received += receiver.recv_into(buffer)
    ended_s = time.perf_counter()
    thread.join()
    return ended_s - started_s[0]


def fairness(link: LinkEmulatorProcess, seconds: float) -> tuple[float, float]:
    """Share of the first of two floods, and CPU seconds a second of the emulator's process, at 50 Mbit/s."""
    link.set_shape(LinkShape(50e6, 50e6, 0.02))
    with sockets(link) as one, sockets(link) as two, ThreadPoolExecutor(2) as pool:
        before_s = link.cpu_s()
        floods = list(pool.map(lambda pair: _flood(pair[0], pair[1], seconds), (one, two)))
        cpu_share = (link.cpu_s() - before_s) / seconds
    both_run_s = max(arrivals[0][0] for arrivals in floods) + seconds / 10
    got = [sum(size for at_s, size in arrivals if at_s > both_run_s) for arrivals in floods]
    return got[0] / sum(got), cpu_share


def step_s(link: LinkEmulatorProcess) -> float:
    """How long 40 Mbit/s went on after the change to 10 Mbit/s: what came too much in 0.3 s, over the difference."""
    link.set_shape(LinkShape(40e6, 40e6, 0.01))
    with sockets(link) as pair, ThreadPoolExecutor(1) as pool:
        flood = pool.submit(_flood, pair[0], pair[1], 1.0)
        time.sleep(0.4)
        link.set_shape(LinkShape(10e6, 10e6, 0.01))
        changed_s = time.perf_counter()
        received = sum(size for at_s, size in flood.result() if changed_s < at_s <= changed_s + 0.3)
    return (8 * received - 10e6 * 0.3) / (40e6 - 10e6)


def _flood(sender: socket.socket, receiver: socket.socket, seconds: float) -> list[tuple[float, int]]:
    """Send as much as goes for `seconds`; (time, bytes) of every read. The connection is used up after it."""
    arrivals, buffer, ends_s = [], bytearray(1 << 20), time.perf_counter() + seconds

    def send() -> None:
        with contextlib.suppress(OSError):
            while time.perf_counter() < ends_s:
                sender.sendall(bytes(16_384))

    thread = threading.Thread(target=send)
    thread.start()
    while time.perf_counter() < ends_s:
        size = receiver.recv_into(buffer)
        arrivals.append((time.perf_counter(), size))
    receiver.close()  # with bytes unread: the sender's sendall ends with a reset
    thread.join()
    return arrivals


def grpc_one_way_times_s(link: LinkEmulatorProcess, size_bytes: int, repeats: int) -> list[float]:
    """One-way times of messages on a warm stream in chunks of 1 MB, as the data plane sends them."""
    return asyncio.run(_grpc_one_way_times_s(link, size_bytes, repeats))


async def _grpc_one_way_times_s(link: LinkEmulatorProcess, size_bytes: int, repeats: int) -> list[float]:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    arrivals: asyncio.Queue[float] = asyncio.Queue()
    server.add_generic_rpc_handlers((_Sink(arrivals),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    host, relay_port = link.relay("127.0.0.1", 0, "127.0.0.1", port)
    times_s = []
    async with grpc.aio.insecure_channel(f"{host}:{relay_port}", options=CHANNEL_OPTIONS) as channel:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(_METHOD)()
        for size in [1, *[size_bytes] * repeats]:  # the first one only warms the connection
            chunks = [bytes(min(_CHUNK_BYTES, size - at)) for at in range(0, size, _CHUNK_BYTES)]
            started_s = time.perf_counter()
            for chunk in chunks:
                await call.write(chunk)
            arrived_s = [await arrivals.get() for _ in chunks]
            times_s.append(arrived_s[-1] - started_s)
        await call.done_writing()
        await call.read()
    await server.stop(None)
    return times_s[1:]


class _Sink(grpc.GenericRpcHandler):
    def __init__(self, arrivals: asyncio.Queue[float]) -> None:
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._run)
        self._arrivals = arrivals

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return self._handler

    async def _run(self, chunks: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        async for _ in chunks:
            self._arrivals.put_nowait(time.perf_counter())
        yield b"done"
