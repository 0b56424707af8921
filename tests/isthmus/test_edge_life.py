"""Work beside an edge that lives on, dies, or is done with."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.edge_life import while_edge_lives
from isthmus.errors import InvalidModel, Unavailable
from scheduler.process_runtime import ProcessRuntime


class Edge(ProcessRuntime):
    """A runtime whose edge dies when told."""

    def __init__(self) -> None:
        super().__init__()
        self.dies = asyncio.Event()

    async def watch_edge(self) -> None:
        await self.dies.wait()
        raise Unavailable("edge node: died with -9")


async def planned() -> bool:
    return True


async def test_work_beside_an_edge_that_lives_is_done() -> None:
    assert await while_edge_lives(Edge(), planned())
    assert len(asyncio.all_tasks()) == 1  # nobody watches any more


async def test_an_edge_that_dies_ends_the_work_at_once() -> None:
    edge, over = Edge(), list[str]()

    async def work() -> None:
        edge.dies.set()
        try:
            await asyncio.sleep(3600.0)
        finally:
            over.append("cancelled")

    with pytest.raises(Unavailable, match="edge node: died with -9"):
        async with asyncio.timeout(10):
            await while_edge_lives(edge, work())
    assert over == ["cancelled"]


async def test_what_the_work_raises_is_raised() -> None:
    async def work() -> None:
        raise InvalidModel("model", "is no good")

    with pytest.raises(InvalidModel):
        await while_edge_lives(Edge(), work())
    assert len(asyncio.all_tasks()) == 1
