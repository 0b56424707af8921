"""Sending a request's first boundary tensors while its prefix still runs, and the first pieces of a large one while it
is still being encoded.

The worker hands each tensor or piece over as it is made; with the first one the request is opened at the replica, and
the others follow. Where the prefix fails, or the request ends otherwise, the replica is told: it drops what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from nodes.codecs.base import EncodedTensor
from nodes.guarded_connection import GuardedConnection
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import ResponseArrived
from nodes.tensor_feed import TensorFeed

__all__ = ["EarlyUpload"]


class EarlyUpload:
    """Of one request to one replica."""

    def __init__(self, replica: GuardedConnection, count: int, request: Callable[[TensorFeed], WireRequest]) -> None:
        """count: the boundary tensors, or pieces of them. request: made when the first of them is there."""
        self.replica = replica
        self._request = request
        self._feed = TensorFeed(count)
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Task[ResponseArrived] | None = None
        self._over = False

    @property
    def answer(self) -> asyncio.Task[ResponseArrived] | None:
        """What the replica will say; None where nothing was sent early."""
        return self._answer

    def offer(self, tensor: EncodedTensor) -> None:
        """The next tensor is made. Called on any thread."""
        self._loop.call_soon_threadsafe(self._made, tensor)

    def _made(self, tensor: EncodedTensor) -> None:
        if self._over:
            return
        self._feed.put((tensor,))
        if self._answer is None and self.replica.healthy:
            self._answer = self._loop.create_task(self.replica.run(self._request(self._feed), self._feed))

    def finish(self, tensors: Sequence[EncodedTensor]) -> None:
        """The prefix has ended: these are all of them."""
        self._over = True
        self._feed.put(tensors[len(self._feed.tensors) :])

    async def close(self) -> None:
        """The request is over, whatever became of it: nothing of it stays at the replica."""
        self._over = True
        if self._answer is not None:
            self._answer.cancel()
            await asyncio.gather(self._answer, return_exceptions=True)
