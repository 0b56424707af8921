"""Emulates a slower device on a fast one: the work is done, then the worker sleeps. For demos and tests only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from isthmus.errors import InvalidConfiguration

__all__ = ["check_slowdown", "run_slowed"]

P = ParamSpec("P")
T = TypeVar("T")


def run_slowed(slowdown: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(*args)`, then asleep for (slowdown - 1) x the time that it took: a device `slowdown` times slower.

    Sleeping leaves the core to others, so several emulated devices fit on one machine.
    """
    if slowdown == 1.0:
        return function(*args, **kwargs)
    started = time.perf_counter()
    result = function(*args, **kwargs)
    time.sleep((slowdown - 1.0) * (time.perf_counter() - started))
    return result


def check_slowdown(slowdown: float) -> float:
    """`slowdown` itself. Raises InvalidConfiguration unless it is finite and at least 1."""
    if not 1.0 <= slowdown < float("inf"):
        raise InvalidConfiguration("slowdown", "must be 1 or more", value=slowdown, remedy="1 means none")
    return slowdown
