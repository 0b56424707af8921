"""Requests before the edge: turns, shedding and clients that leave, on the event loop."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.errors import Shed
from nodes.admission import AdmissionCounts, Arriving
from nodes.admission_gate import AdmissionGate
from scheduler.admission.control import AdmissionControl


def asks(client: str, priority: int = 0) -> Arriving:
    return Arriving(client, priority, None, 1.0)


async def waiting(gate: AdmissionGate, client: str, priority: int = 0) -> asyncio.Task[object]:
    task = asyncio.ensure_future(gate.enter(asks(client, priority)))
    await asyncio.sleep(0)
    return task


async def test_who_leaves_lets_the_next_one_go_on_the_first_priority_first() -> None:
    gate = AdmissionGate(AdmissionControl(8, 1))
    first = await gate.enter(asks("a"))
    later, urgent = await waiting(gate, "a"), await waiting(gate, "b", 1)
    first.leave()
    await asyncio.sleep(0)
    assert (urgent.done(), later.done()) == (True, False)
    later.cancel()


async def test_one_that_is_shed_is_told_and_the_one_that_came_waits() -> None:
    gate = AdmissionGate(AdmissionControl(2, 1))
    await gate.enter(asks("a"))
    greedy, modest = await waiting(gate, "a"), await waiting(gate, "b", 1)
    with pytest.raises(Shed):
        await greedy
    assert not modest.done()
    modest.cancel()


async def test_a_client_that_leaves_while_it_waits_leaves_nothing_behind() -> None:
    gate = AdmissionGate(AdmissionControl(4, 1))
    first = await gate.enter(asks("a"))
    gone = await waiting(gate, "a")
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    first.leave()
    assert gate.counts == AdmissionCounts(0, 0)


async def test_one_that_leaves_in_the_moment_of_its_turn_gives_it_to_the_next() -> None:
    gate = AdmissionGate(AdmissionControl(8, 1))
    first = await gate.enter(asks("a"))
    gone, after = await waiting(gate, "a"), await waiting(gate, "a")
    first.leave()
    gone.cancel()
    await asyncio.sleep(0.01)
    assert after.done()
    assert gate.counts == AdmissionCounts(0, 1)
