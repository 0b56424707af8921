"""One launcher of a cloud at a time, and the next one where that has died."""

from __future__ import annotations

import re

import pytest

from isthmus.errors import InvalidConfiguration, Unavailable
from scheduler.serve.launcher_lease import Launcher, take_lease

MINE = Launcher("here", 2, "2026-01-01 12:00:00 UTC")
OTHER = Launcher("there", 1, "2026-01-01 10:00:00 UTC")


class HeldLease:
    """By somebody who dies after having been asked after so often; never, unless that is said."""

    def __init__(self, by: Launcher | None, answers: int | None = None) -> None:
        self._by, self._answers = by, answers

    def take(self, mine: Launcher) -> None:
        if self._answers == 0:
            self._by, self._answers = mine, None

    def holder(self) -> Launcher | None:
        self._answers = None if self._answers is None else self._answers - 1
        return self._by


def no_wait(_: float) -> None: ...


def test_what_nobody_has_is_taken_at_once() -> None:
    lease = HeldLease(None, 0)
    take_lease(lease, "shop", MINE, 0.0, no_wait)
    assert lease.holder() == MINE


def test_that_of_a_launcher_that_died_is_taken_once_ray_has_seen_it() -> None:
    lease = HeldLease(OTHER, 3)
    take_lease(lease, "shop", MINE, 60.0, no_wait)
    assert lease.holder() == MINE


def test_that_of_one_that_lives_is_refused_with_its_name_who_has_it_and_what_to_do() -> None:
    said = (
        "cloud.name: a launcher on there, process 1, has run this cloud since 2026-01-01 10:00:00 UTC (got 'shop'); "
        "end that one first, or give this cloud another name"
    )
    with pytest.raises(InvalidConfiguration, match=f"^{re.escape(said)}$"):
        take_lease(HeldLease(OTHER), "shop", MINE, 0.0, no_wait)


def test_one_that_nobody_answers_for_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"cloud\.name: nobody on the Ray cluster answers for 'shop'"):
        take_lease(HeldLease(None), "shop", MINE, 0.0, no_wait)
