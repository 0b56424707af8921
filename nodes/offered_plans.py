"""The plans that a replica is preparing: each once, whoever offers it, and no more of them than its memory allows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from functools import partial
from typing import Protocol

from isthmus.errors import Overloaded
from nodes.byte_budget import ByteBudget
from nodes.protocol.events import PlanDefinition, PlanTimes

__all__ = ["MOST_ON_STREAM", "MOST_UNDER_WAY", "OfferedPlans", "PlanPreparer", "held_bytes"]

MOST_ON_STREAM = 16
"""Offers of one edge that may wait for their answers. It has two under way of a model (`nodes/plan_offers.py`), and
plans its models one after the other but for those that it loads or switches meanwhile."""

MOST_UNDER_WAY = 256
"""Plans that a replica may be preparing, for all edges: as many as it keeps. Each may have a thread, for its engine."""

RETRY_AFTER_S = 10.0
_CODEC_BYTES = 256  # of the value and its dictionary


class PlanPreparer(Protocol):
    """The part of a `SegmentNode` that is needed here."""

    def check_offer(self, offer: PlanDefinition) -> None:
        """See SegmentNode."""

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        """See SegmentNode."""


class OfferedPlans:
    """Used from one event loop. What is begun goes on where its edges leave: a thread that compiles is not stopped, so
    it counts until its end, and the next edge that offers the plan finds it ready."""

    def __init__(self, node: PlanPreparer, budget: ByteBudget) -> None:
        """budget: that requests and answers count in, too."""
        self._node = node
        self._budget = budget
        self._under_way: dict[str, asyncio.Task[PlanTimes]] = {}

    def begin(self, offer: PlanDefinition) -> asyncio.Task[PlanTimes]:
        """Its preparation, begun here unless it is under way: whoever awaits it shields it.

        Raises what `check_offer` does, at once and of every offer: a false one must not fail in the place of the true
        one of the same digest. Raises Overloaded, and TooLarge for one that alone is more than may be held.
        """
        self._node.check_offer(offer)
        under_way = self._under_way.get(offer.wire_digest)
        if under_way is None:
            if len(self._under_way) >= MOST_UNDER_WAY:
                limit = f"this replica is preparing {MOST_UNDER_WAY} plans already; offer it again later"
                raise Overloaded(limit, retry_after_s=RETRY_AFTER_S)
            size_bytes = held_bytes(offer)
            self._budget.reserve(size_bytes, RETRY_AFTER_S)
            under_way = self._under_way[offer.wire_digest] = asyncio.create_task(self._node.prepare(offer))
            under_way.add_done_callback(partial(self._ended, offer.wire_digest, size_bytes))
        return under_way

    @property
    def under_way(self) -> int:
        """How many are being prepared."""
        return len(self._under_way)

    def close(self) -> None:
        """Nobody waits any more."""
        for under_way in self._under_way.values():
            under_way.cancel()

    def _ended(self, digest: str, size_bytes: int, ended: asyncio.Task[PlanTimes]) -> None:
        del self._under_way[digest]
        self._budget.release(size_bytes)
        if not ended.cancelled():
            ended.exception()  # mark as seen: those who waited may have left


def held_bytes(offer: PlanDefinition) -> int:
    """About what it takes here: short names take several times their length on the wire."""
    codecs = len(offer.uplink) + len(offer.downlink)
    return codecs * _CODEC_BYTES + sum(map(sys.getsizeof, _texts(offer)))


def _texts(offer: PlanDefinition) -> Iterator[str]:
    yield from (offer.wire_digest, offer.model_digest, *offer.edge_ops)
    for one in (*offer.uplink, *offer.downlink):
        yield one.tensor
        yield one.codec
        for key, value in one.parameters.items():
            yield key
            yield value
