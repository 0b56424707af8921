"""Asking one replica and, where its answer is late, a second one: the first answer counts, the other is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from isthmus.errors import InvalidInput, TooLarge

__all__ = ["blames_request", "first_answer"]

Replica = TypeVar("Replica")
Answer = TypeVar("Answer")


async def first_answer(
    ask: Callable[[Replica], Awaitable[Answer]],
    first: Replica,
    after_s: float | None,
    second: Callable[[], Replica | None],
) -> Answer:
    """The answer of `first` or, where there was none after `after_s`, of it or `second()`, whoever is sooner.

    after_s: None asks nobody else. second: called at most once, when it is time; None for nobody. When this returns or
    raises, nobody is being asked any more. Raises what `first` raised where nobody answered; what blames the request at
    once, whoever says it. A failure before `after_s` is raised at once.
    """
    if after_s is None:
        return await ask(first)
    asked = [_started(ask, first)]
    try:
        done, _ = await asyncio.wait(asked, timeout=after_s)
        if not done and (other := second()) is not None:
            asked.append(_started(ask, other))
        return await _first_of(asked)
    finally:
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


def _started(ask: Callable[[Replica], Awaitable[Answer]], replica: Replica) -> asyncio.Task[Answer]:
    async def asking() -> Answer:
        return await ask(replica)

    return asyncio.create_task(asking())


async def _first_of(asked: Sequence[asyncio.Task[Answer]]) -> Answer:
    pending = set(asked)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for one in (one for one in asked if one in done):
            fault = one.exception()
            if fault is None:
                return one.result()
            if blames_request(fault):
                raise fault
    return asked[0].result()  # raises: nobody answered


def blames_request(fault: BaseException) -> bool:
    """Whether whoever is asked would find the same. What is too large for one replica's limits need not be so for
    another's, nor for the edge, which has taken it."""
    return isinstance(fault, InvalidInput) and not isinstance(fault, TooLarge)
