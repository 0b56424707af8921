"""Asking one, and another one where the first is late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from isthmus.errors import CloudUnavailable, InvalidRequest, IsthmusError, TooLarge
from nodes.first_answer import FirstAnswer, first_answer, taken_back


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


async def race(asked: Asked, second: Callable[[], str | None] = lambda: "second") -> asyncio.Task[FirstAnswer[str]]:
    """Once both are asked, where there is a second."""
    task = asyncio.create_task(first_answer(asked, "first", 0.001, second))
    for _ in range(1 if second() is None else 2):
        await asked.came.get()
    return task


@pytest.mark.parametrize(("sooner", "other"), [("first", "second"), ("second", "first")])
async def test_the_first_answer_counts_and_the_other_may_still_be_waited_for(sooner: str, other: str) -> None:
    asked = Asked()
    task = await race(asked)
    asked.told[sooner].set_result(None)
    answer, still = await task
    assert (answer, asked.taken_back) == (sooner, [])
    assert still is not None
    asked.told[other].set_result(None)
    assert await still == other


async def test_the_other_can_be_taken_back() -> None:
    asked = Asked()
    task = await race(asked)
    asked.told["second"].set_result(None)
    _, still = await task
    assert still is not None
    await taken_back([still])
    assert asked.taken_back == ["first"]


async def test_of_two_answers_at_once_the_first_ones_counts_and_the_other_is_there() -> None:
    asked = Asked()
    task = await race(asked)
    for told in asked.told.values():
        told.set_result(None)
    answer, still = await task
    assert still is not None
    assert (answer, await still, asked.taken_back) == ("first", "second", [])


@pytest.mark.parametrize(("failing", "other"), [("first", "second"), ("second", "first")])
async def test_where_one_fails_the_other_is_waited_for(failing: str, other: str) -> None:
    asked = Asked()
    task = await race(asked)
    asked.told[failing].set_exception(CloudUnavailable("gone"))
    await asyncio.sleep(0.005)
    assert not task.done()
    asked.told[other].set_result(None)
    assert await task == (other, None)


async def test_where_both_fail_the_first_ones_error_is_raised() -> None:
    asked = Asked()
    task = await race(asked)
    asked.told["second"].set_exception(CloudUnavailable("two"))
    await asyncio.sleep(0)
    asked.told["first"].set_exception(CloudUnavailable("one"))
    with pytest.raises(CloudUnavailable, match="one"):
        await task


@pytest.mark.parametrize(
    "fault", [InvalidRequest("tensor", "is wrong"), TooLarge("cloud.limits.tensor", "is too large")], ids=type
)
async def test_what_one_finds_wrong_with_the_request_may_be_answered_by_the_other(fault: IsthmusError) -> None:
    asked = Asked()
    task = await race(asked)
    asked.told["second"].set_exception(fault)
    await asyncio.sleep(0.005)
    assert not task.done()
    asked.told["first"].set_result(None)
    assert await task == ("first", None)


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
    assert (await task, asked.asked) == (("first", None), ["first"])


async def test_cancelled_it_takes_both_back() -> None:
    asked = Asked()
    task = await race(asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(asked.taken_back) == ["first", "second"]
