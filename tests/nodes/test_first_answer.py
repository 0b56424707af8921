"""Asking one, and another one where the first is late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from isthmus.errors import CloudUnavailable, InvalidRequest, IsthmusError, TooLarge
from nodes.first_answer import first_answer


class Asked:
    """Replicas by name: each answers with its name, or raises, when told to."""

    def __init__(self) -> None:
        self.told = {name: asyncio.get_running_loop().create_future() for name in ("first", "second")}
        self.asked: list[str] = []
        self.came: asyncio.Queue[str] = asyncio.Queue()
        self.taken_back: list[str] = []

    async def __call__(self, name: str) -> str:
        self.asked.append(name)
        self.came.put_nowait(name)
        try:
            await self.told[name]
        except asyncio.CancelledError:
            self.taken_back.append(name)
            raise
        return name


async def race(asked: Asked, second: Callable[[], str | None] = lambda: "second") -> asyncio.Task[str]:
    """Once both are asked, where there is a second."""
    task = asyncio.create_task(first_answer(asked, "first", 0.001, second))
    for _ in range(1 if second() is None else 2):
        await asked.came.get()
    return task


@pytest.mark.parametrize(("sooner", "other"), [("first", "second"), ("second", "first")])
async def test_the_first_answer_counts_and_the_other_is_taken_back(sooner: str, other: str) -> None:
    asked = Asked()
    task = await race(asked)
    asked.told[sooner].set_result(None)
    assert (await task, asked.taken_back) == (sooner, [other])


async def test_two_answers_at_once_are_one() -> None:
    asked = Asked()
    task = await race(asked)
    for told in asked.told.values():
        told.set_result(None)
    assert (await task, asked.taken_back) == ("first", [])


@pytest.mark.parametrize(("failing", "other"), [("first", "second"), ("second", "first")])
async def test_where_one_fails_the_other_is_waited_for(failing: str, other: str) -> None:
    asked = Asked()
    task = await race(asked)
    asked.told[failing].set_exception(CloudUnavailable("gone"))
    await asyncio.sleep(0.005)
    assert not task.done()
    asked.told[other].set_result(None)
    assert await task == other


async def test_where_both_fail_the_first_ones_error_is_raised() -> None:
    asked = Asked()
    task = await race(asked)
    asked.told["second"].set_exception(CloudUnavailable("two"))
    await asyncio.sleep(0)
    asked.told["first"].set_exception(CloudUnavailable("one"))
    with pytest.raises(CloudUnavailable, match="one"):
        await task


async def test_a_fault_of_the_request_ends_it_whoever_says_so() -> None:
    asked = Asked()
    task = await race(asked)
    asked.told["second"].set_exception(InvalidRequest("tensor", "is wrong"))
    with pytest.raises(InvalidRequest):
        await task
    assert asked.taken_back == ["first"]


async def test_what_is_too_large_for_one_may_be_answered_by_the_other() -> None:
    asked = Asked()
    task = await race(asked)
    asked.told["second"].set_exception(TooLarge("cloud.limits.tensor", "is too large"))
    await asyncio.sleep(0.005)
    assert not task.done()
    asked.told["first"].set_result(None)
    assert await task == "first"


async def test_what_fails_before_it_is_late_is_raised_and_nobody_else_asked() -> None:
    asked = Asked()
    asked.told["first"].set_exception(CloudUnavailable("gone"))
    with pytest.raises(IsthmusError):
        await first_answer(asked, "first", 10.0, lambda: "second")
    assert asked.asked == ["first"]


async def test_without_a_second_the_first_is_waited_for() -> None:
    asked = Asked()
    task = await race(asked, lambda: None)
    await asyncio.sleep(0.005)
    asked.told["first"].set_result(None)
    assert (await task, asked.asked) == ("first", ["first"])


async def test_cancelled_it_takes_both_back() -> None:
    asked = Asked()
    task = await race(asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(asked.taken_back) == ["first", "second"]
