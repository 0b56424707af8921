"""Where compute runs: a few dedicated threads with a thread budget of their own, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import torch

from isthmus.errors import InvalidConfiguration

__all__ = ["ComputePool"]

P = ParamSpec("P")
T = TypeVar("T")


class ComputePool:
    """`workers` threads, each of which may use `threads` cores inside one op.

    One worker by default: segments then run one after the other, and the queue before them is the load that is
    reported. Close it (or use it as a context manager) to end the threads.
    """

    def __init__(self, threads: int = 1, *, workers: int = 1, name: str = "compute") -> None:
        """Raises InvalidConfiguration when a count is below 1."""
        for field, count in (("threads", threads), ("workers", workers)):
            if count < 1:
                raise InvalidConfiguration(field, "must be 1 or more", value=count)
        self.threads = threads
        self._executor = ThreadPoolExecutor(workers, name, initializer=_set_thread_budget, initargs=(threads,))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` on a worker, awaited. Its exception is raised here.

        Cancelling takes back a call that has not started; one that runs goes on to its end, and its result is lost.
        """
        return await asyncio.wrap_future(self._executor.submit(function, *args, **kwargs))

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """`function(*args)` on a worker, waited for by nobody here. Raises RuntimeError once the pool is closed."""
        return self._executor.submit(function, *args, **kwargs)

    def run_blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` on a worker, waited for: for measuring, under the same thread budget as serving."""
        return self._executor.submit(function, *args, **kwargs).result()

    def share_budget(self) -> None:
        """Let the calling thread compute as a worker does: it runs what is too short to be handed over."""
        _set_thread_budget(self.threads)

    def close(self) -> None:
        """Lets running calls end, drops those that have not started."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _set_thread_budget(threads: int) -> None:
    # torch's setting is per thread, but a new thread takes over, at its first op, the last value that anyone set.
    # So touch it and run one op first: then this budget and another thread's hold side by side.
    torch.get_num_threads()
    torch.mm(torch.ones(8, 8), torch.ones(8, 8))
    torch.set_num_threads(threads)
