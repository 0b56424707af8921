"""One node's registry. A scrape comes on a thread of its own; the facts are taken on the node's event loop, which owns
them, and become text on the scrape's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from nodes.background import LOOP_TIMEOUT_S, asked_of_loop

__all__ = ["node_registry"]

F = TypeVar("F")


class _LoopCollector(Collector, Generic[F]):
    def __init__(
        self, loop: asyncio.AbstractEventLoop, facts: Callable[[], F], families: Callable[[F], Iterable[Metric]],
        timeout_s: float,
    ) -> None:  # fmt: skip
        self._loop, self._facts, self._families, self._timeout_s = loop, facts, families, timeout_s

    def collect(self) -> Iterable[Metric]:
        """Raises Unavailable where the event loop does not answer."""
        return self._families(asked_of_loop(self._loop, self._facts, self._timeout_s))


def node_registry(
    facts: Callable[[], F], families: Callable[[F], Iterable[Metric]], loop_timeout_s: float = LOOP_TIMEOUT_S
) -> CollectorRegistry:
    """Of the node on the running event loop. facts: called there, at each scrape. families: called on any thread.
    loop_timeout_s: how long a scrape waits for the loop."""
    registry = CollectorRegistry()
    registry.register(_LoopCollector(asyncio.get_running_loop(), facts, families, loop_timeout_s))
    ProcessCollector(registry=registry)
    return registry
