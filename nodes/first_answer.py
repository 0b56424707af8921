"""Asking one replica and, where its answer is late, a second one: the first answer counts, if it is good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

__all__ = ["FirstAnswer", "first_answer", "taken_back"]

Replica = TypeVar("Replica")
Answer = TypeVar("Answer")


class FirstAnswer(NamedTuple, Generic[Answer]):
    """other: the one that was asked as well and has not failed. It may still answer where this answer is no good; who
    asked waits for it, or takes it back."""

    answer: Answer
    other: asyncio.Task[Answer] | None


async def first_answer(
    ask: Callable[[Replica], Awaitable[Answer]],
    first: Replica,
    after_s: float | None,
    second: Callable[[], Replica | None],
) -> FirstAnswer[Answer]:
    """The answer of `first` or, where there was none after `after_s`, of it or `second()`, whoever is sooner.

    after_s: None asks nobody else. second: called at most once, when it is time; None for nobody. When this raises,
    nobody is being asked any more. Raises what `first` raised where nobody answered. A failure before `after_s`
    is raised at once.
    """
    if after_s is None:
        return FirstAnswer(await ask(first), None)
    asked = [_started(ask, first)]
    try:
        done, _ = await asyncio.wait(asked, timeout=after_s)
        if not done and (other := second()) is not None:
            asked.append(_started(ask, other))
        winner = await _first_of(asked)
        answer = winner.result()
    except BaseException:
        await taken_back(asked)
        raise
    others = (one for one in asked if one is not winner and not _failed(one))
    return FirstAnswer(answer, next(others, None))


async def taken_back(asked: Sequence[asyncio.Task[Answer]]) -> None:
    """Nobody waits for these any more."""
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


def _started(ask: Callable[[Replica], Awaitable[Answer]], replica: Replica) -> asyncio.Task[Answer]:
    async def asking() -> Answer:
        return await ask(replica)

    return asyncio.create_task(asking())


def _failed(one: asyncio.Task[Answer]) -> bool:
    return one.done() and (one.cancelled() or one.exception() is not None)


async def _first_of(asked: Sequence[asyncio.Task[Answer]]) -> asyncio.Task[Answer]:
    """The first of `asked` where nobody answered."""
    pending = set(asked)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for one in (one for one in asked if one in done):
            if one.exception() is None:
                return one
    return asked[0]
