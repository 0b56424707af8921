"""Long work off the event loop that the process need not wait for when it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

__all__ = ["run_apart"]

P = ParamSpec("P")
T = TypeVar("T")


async def run_apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(*args)` in a thread of its own, awaited; its exception is raised here.

    Unlike a thread of an executor it dies with the process: a node that drains does not wait for a compiler. Cancelling
    leaves it to run on, its result lost.
    """
    over: Future[T] = Future()
    over.set_running_or_notify_cancel()

    def _work() -> None:
        try:
            over.set_result(function(*args, **kwargs))
        except BaseException as error:
            over.set_exception(error)

    threading.Thread(target=_work, name="apart", daemon=True).start()
    return await asyncio.wrap_future(over)
