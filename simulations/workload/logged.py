"""Requests as a running edge logged them: each with what its client asked for, at the moment at which it came."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from isthmus.errors import InvalidRequest
from nodes.chooser import Asked
from scheduler.decision_replay import log_lines, log_paths
from simulations.replay.logged_run import logged_run
from simulations.workload.recorded import Recorded

__all__ = ["Logged", "read_logged"]


@dataclass(frozen=True, slots=True)
class Logged:
    """requests: in the order in which they came, their `came_s` from zero on. recorded: when that was, and from where
    on each client plays it. `of` makes it."""

    requests: tuple[Asked, ...] = field(repr=False)
    recorded: Recorded

    @classmethod
    def of(cls, requests: tuple[Asked, ...], start_s: float | None = 0.0) -> Logged:
        """start_s: see Recorded. Raises InvalidQuantity as that does."""
        return cls(requests, Recorded(tuple(one.came_s for one in requests), start_s))

    def played(self, random: random.Random, until_s: float) -> Iterator[Asked]:
        """Each once, before `until_s`; its `came_s` is when it comes now. `random` draws where it begins."""
        for time_s, number in self.recorded.played(random, until_s):
            yield replace(self.requests[number], came_s=time_s)


class _File(NamedTuple):
    """What tells a file from what it was before."""

    path: Path
    size_bytes: int
    changed_ns: int


def read_logged(log: Path) -> Logged:
    """Of a decision log: its folder, or one file of it. Refused requests are among them: they came, too.

    Raises NotFound where there is none, InvalidRequest for what is none, cannot be read, or is of a version that does
    not say when requests came.
    """
    try:
        files = [(path, path.stat()) for path in log_paths(log)]
    except OSError as error:
        remedy = "give a log that is whole; copy that of a running edge first"
        raise InvalidRequest(str(log), f"cannot be read: {error.strerror}", remedy=remedy) from error
    return _read(tuple(_File(path, status.st_size, status.st_mtime_ns) for path, status in files))


# A log of 256 MiB takes seconds; a sweep looks at it for each of its points, a search for each fleet.
@lru_cache(maxsize=4)
def _read(files: tuple[_File, ...]) -> Logged:
    run = logged_run(line for file in files for line in log_lines(file.path))
    first_s = run.requests[0].asked.came_s
    return Logged.of(tuple(replace(one.asked, came_s=one.asked.came_s - first_s) for one in run.requests))
