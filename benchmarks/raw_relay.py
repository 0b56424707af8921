"""What `split_overhead` measures against: a relay and a server of plain grpc.aio, each in a process of its own, that
move as many bytes as a split request does, on the event loop and with the channel options that the product has."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.connection import Connection

import grpc
import uvloop

from nodes.transport.channel_options import CHANNEL_OPTIONS, SERVER_OPTIONS

__all__ = ["Traffic", "raw_relay"]

Handler = Callable[[bytes, object], Coroutine[None, None, bytes]]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one request's messages: client to relay, relay to server, and back over both."""

    request: int
    onward: int
    answer: int

    @property
    def method(self) -> str:
        """What the client calls; the server's method is named by its answer."""
        return f"/benchmark/{self.onward}-{self.answer}"

    def __str__(self) -> str:
        return f"{self.request} to the edge, {self.onward} to the replica, {self.answer} back"


_zeros = cache(bytes)


class _Service(grpc.GenericRpcHandler):
    """handler: of the method with that name."""

    def __init__(self, handler: Callable[[str], Handler]) -> None:
        self._handler = handler
        self._made: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        name = handler_call_details.method.rpartition("/")[2]
        if name not in self._made:
            self._made[name] = grpc.unary_unary_rpc_method_handler(self._handler(name))
        return self._made[name]


def _answering(name: str) -> Handler:
    data = _zeros(int(name))

    async def answer(_message: bytes, _context: object) -> bytes:
        return data

    return answer


def _relaying(channel: grpc.aio.Channel, name: str) -> Handler:
    onward_bytes, _, answer_bytes = name.partition("-")
    data = _zeros(int(onward_bytes))
    onward: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/benchmark/{answer_bytes}")

    async def answer(_message: bytes, _context: object) -> bytes:
        return await onward(data)

    return answer


async def _run(ready: Connection, target: str) -> None:
    """Without a target the server, with one the relay before it."""
    async with grpc.aio.insecure_channel(target or "127.0.0.1:1", options=CHANNEL_OPTIONS) as channel:
        server = grpc.aio.server(options=SERVER_OPTIONS)
        server.add_generic_rpc_handlers((_Service(partial(_relaying, channel) if target else _answering),))
        ready.send(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        await server.wait_for_termination()


def _main(ready: Connection, target: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(ready, target))


@contextlib.contextmanager
def _process(target: str) -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_main, args=(theirs, target), daemon=True)
    child.start()
    try:
        yield str(ours.recv())
    finally:
        child.kill()
        child.join()


@contextlib.contextmanager
def raw_relay() -> Iterator[str]:
    """The address of a relay before a server, until the block ends. It answers the `method` of any Traffic."""
    with _process("") as server, _process(server) as relay:
        yield relay
