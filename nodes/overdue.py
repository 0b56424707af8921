"""When work that has not returned counts as never going to. Pure."""

from __future__ import annotations

from isthmus.errors import Unavailable

__all__ = ["HUNG_LEAST_S", "HUNG_TIMES", "LONGEST_JOB_S", "check_returning"]

HUNG_LEAST_S, HUNG_TIMES = 30.0, 20.0
"""A batch that takes this long, and so many times what it was expected to: a machine that swaps or is throttled is slow
by less."""

LONGEST_JOB_S = 600.0
"""Of work that nobody predicted: loading a half, measuring a plan."""


def check_returning(what: str, running_s: float, expected_s: float | None) -> None:
    """Raises Unavailable where work has run for too long. expected_s: None where nobody predicted it."""
    most_s = LONGEST_JOB_S if expected_s is None else max(HUNG_LEAST_S, HUNG_TIMES * expected_s)
    if running_s > most_s:
        expected = "" if expected_s is None else f", expected to take {expected_s:.3g} s"
        raise Unavailable(f"{what}: has not returned for {running_s:.0f} s{expected}; it hangs")
