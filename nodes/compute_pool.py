"""Where compute runs: a few dedicated threads with a thread budget of their own, off the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import NamedTuple, ParamSpec, Self, TypeVar

import torch

from isthmus.errors import InvalidConfiguration, Unavailable
from nodes.background import run_apart
from nodes.overdue import check_returning

__all__ = ["ComputePool"]

P = ParamSpec("P")
T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[], object]
    drop: Callable[[], object]


class ComputePool:
    """`workers` threads, each of which may use `threads` cores inside one op.

    One worker by default: segments then run one after the other, and the queue before them is the load that is
    reported. Close it (on an event loop by `aclose`, or use it as a context manager) to end the threads.

    Not an executor of the standard library: what a request hands over needs no future and no count of idle threads,
    which took longer than the hand-over itself.
    """

    def __init__(self, threads: int = 1, *, workers: int = 1, name: str = "compute") -> None:
        """Raises InvalidConfiguration when a count is below 1."""
        for field, count in (("threads", threads), ("workers", workers)):
            if count < 1:
                raise InvalidConfiguration(field, "must be 1 or more", value=count)
        self.threads = threads
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock, self._closed = threading.Lock(), False
        self._began_s: list[float | None] = [None] * workers  # of the job that each worker runs
        self._workers = [
            threading.Thread(
                target=_serve, args=(self._jobs, threads, self._began_s, number), name=f"{name}_{number}", daemon=True
            )
            for number in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    def post(self, work: Callable[[], object], drop: Callable[[], object]) -> None:
        """`work()` on a worker, waited for by nobody; it must not raise. drop: called instead, on the thread that
        closes the pool, where work had not started by then. Raises RuntimeError once the pool is closed."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._jobs.put(_Job(work, drop))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` on a worker, awaited. Its exception is raised here.

        Cancelling takes back a call that has not started; one that runs goes on to its end, and its result is lost.
        """
        return await asyncio.wrap_future(self._submitted(function, *args, **kwargs))

    def run_blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` on a worker, waited for: for measuring, under the same thread budget as serving."""
        return self._submitted(function, *args, **kwargs).result()

    def _submitted(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        answer: Future[T] = Future()
        self.post(partial(_settle, answer, partial(function, *args, **kwargs)), answer.cancel)
        return answer

    def check(self, now_s: float) -> None:
        """Raises Unavailable where a worker is gone, or runs something that nothing here takes so long. now_s: on
        `time.monotonic`."""
        for worker, began_s in zip(self._workers, self._began_s, strict=True):
            if not (worker.is_alive() or self._closed):
                raise Unavailable(f"compute thread {worker.name}: has died")
            if began_s is not None:
                check_returning(f"compute thread {worker.name}", now_s - began_s, None)

    def share_budget(self) -> None:
        """Let the calling thread compute as a worker does: it runs what is too short to be handed over."""
        _set_thread_budget(self.threads)

    def close(self) -> None:
        """Lets running calls end, drops those that have not started."""
        self._end()
        self._join()

    async def aclose(self) -> None:
        """As `close`, and the event loop goes on until the last call has ended: somebody may watch a node's end. Where
        that is not waited for, neither does the process."""
        self._end()
        await run_apart(self._join)

    def _end(self) -> None:
        with self._lock:
            self._closed = True
        try:
            while (job := self._jobs.get_nowait()) is not None:
                job.drop()
        except Empty:
            pass
        for _ in self._workers:
            self._jobs.put(None)

    def _join(self) -> None:
        for worker in self._workers:
            worker.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _serve(jobs: SimpleQueue[_Job | None], threads: int, began_s: list[float | None], number: int) -> None:
    _set_thread_budget(threads)
    while (job := jobs.get()) is not None:
        began_s[number] = time.monotonic()
        job.work()
        began_s[number] = None
        del job  # it holds a request's tensors


def _settle(answer: Future[T], call: Callable[[], T]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(call())
    except BaseException as error:
        answer.set_exception(error)


def _set_thread_budget(threads: int) -> None:
    # torch's setting is per thread, but a new thread takes over, at its first op, the last value that anyone set.
    # So touch it and run one op first: then this budget and another thread's hold side by side.
    torch.get_num_threads()
    torch.mm(torch.ones(8, 8), torch.ones(8, 8))
    torch.set_num_threads(threads)
