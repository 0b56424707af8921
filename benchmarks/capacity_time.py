"""How long does it take to say how many replicas 500 cameras need? One core; the answer checked by whole runs.

The scenario is examples/five-hundred-cameras.yaml: a frame a second each (Poisson), ten simulated minutes, the live
chooser, admission, resumption and batching. `isthmus capacity` begins with a search for the fewest replicas that answer
99 % within 500 ms with a confidence of 95 %, stopping each fleet as soon as its interval is clear of that, and confirms
what it finds by a whole run. Value: the CPU seconds of both; those of whole runs stand beside. The command goes on to
the headroom and the what-ifs: what all of it takes stands beside, too. Checked: a whole run with one replica less is
below 99 %, one with exactly as many above, both with a seed that none of it has seen. Whatever takes more than 300 CPU
seconds is ended and missed: the command, and each whole run. --quick: 100 cameras, two minutes, what the command begins
with alone. There is no baseline: the floor is 1.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numpy as np

from benchmarks.figure import Figure, Options, machine, parse_options, report
from benchmarks.node_process import on_core
from simulations.answers.slo import Slo, kept
from simulations.capacity.candidate import FleetChoice
from simulations.capacity.cheapest import Cheapest
from simulations.capacity.planner import CapacityPlanner
from simulations.fleet import Fleet
from simulations.scenario.reading import ScenarioFile, read_scenario
from simulations.scenario.sweep import with_settings

GOAL_S, LIMIT_S = 60.0, 300.0
SCENARIO = Path(__file__).resolve().parent.parent / "examples" / "five-hundred-cameras.yaml"
QUICK = (("edges.camera.count", 100), ("duration", "2min"), ("replications", 1))
UNSEEN = 1000
WHOLE = "whole runs"  # in what the planner says that it simulates
NOT_ANSWERED = f"not answered within {LIMIT_S:g} CPU s"
T = TypeVar("T")


class _OutOfTimeError(BaseException):
    """Of no kind that what is interrupted handles."""


def within(limit_s: float, ask: Callable[[], T]) -> T | None:
    """What it answers, or None where that takes more CPU seconds of this process: it is then interrupted."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _OutOfTimeError

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    try:
        return ask()
    except _OutOfTimeError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


class Clock:
    """CPU seconds at each step of the search."""

    def __init__(self) -> None:
        self._start_s, self._wall_s = time.process_time(), time.monotonic()
        self.steps: list[tuple[float, str]] = []

    def __call__(self, said: str) -> None:
        self.steps.append((time.process_time() - self._start_s, said))

    @property
    def cpu_s(self) -> float:
        return time.process_time() - self._start_s

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self._wall_s


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, and the seconds until then. whole_cpu_s: those of whole runs among them."""

    replicas: int
    cpu_s: float
    wall_s: float
    whole_cpu_s: float


def cpu_s_of(steps: Sequence[tuple[float, str]], until_s: float, word: str) -> float:
    """That the steps with such a word took. steps: when each began."""
    return sum(end_s - at_s for (at_s, said), (end_s, _) in pairwise([*steps, (until_s, "")]) if word in said)


class TimedPlanner(CapacityPlanner):
    """Tells when it had found and confirmed a fleet, whatever it goes on with. found: None until then."""

    def __init__(self, file: ScenarioFile, clock: Clock) -> None:
        super().__init__(file, clock)
        self._clock = clock
        self.found: Found | None = None

    def cheapest(self) -> Cheapest[FleetChoice] | None:
        """See CapacityPlanner."""
        best = super().cheapest()
        assert best is not None, "some fleet keeps the promise"
        cpu_s = self._clock.cpu_s
        whole_cpu_s = cpu_s_of(self._clock.steps, cpu_s, WHOLE)
        self.found = Found(best.replicas, cpu_s, self._clock.wall_s, whole_cpu_s)
        return best


def whole_run_share(file: ScenarioFile, replicas: int, seed: int) -> float:
    """Of the requests of a whole run, the share in time."""
    settled = with_settings(file, [("cloud.replicas", replicas), ("seed", seed)])
    run = Fleet(settled.scenario, settled.folder).run()
    assert settled.scenario.slo is not None
    slo = Slo(settled.scenario.slo.within, settled.scenario.slo.share)
    return float(np.mean(kept(run, run.counted(), slo)))


def checked(file: ScenarioFile, replicas: int, seed: int) -> Mapping[str, float | None]:
    """With one replica less, and with exactly so many; None of what was not answered in time."""
    counts = {name: n for name, n in (("less", replicas - 1), ("as many", replicas)) if n}
    return {name: within(LIMIT_S, partial(whole_run_share, file, n, seed)) for name, n in counts.items()}


def is_right(shares: Mapping[str, float | None], goal: float) -> bool:
    """Whether the whole runs bear the answer out; not where one was not answered in time."""
    less, as_many = shares.get("less", 0.0), shares["as many"]
    return less is not None and as_many is not None and less < goal <= as_many


def asked(planner: TimedPlanner, clock: Clock, *, quick: bool) -> str:
    """Let it search, and go on to all that the command tells unless `quick`: how long that took, in words."""
    if quick:
        within(LIMIT_S, planner.cheapest)
        return "not asked with --quick"
    answered = within(LIMIT_S, planner.answer) is not None
    return f"{clock.cpu_s:.1f} CPU s, {clock.wall_s:.1f} s in all" if answered else NOT_ANSWERED


def figure(options: Options) -> Figure:
    """The figure."""
    file = read_scenario(SCENARIO)
    file = with_settings(file, [("seed", options.seed + 1), *(QUICK if options.quick else ())])
    clock = Clock()
    planner = TimedPlanner(file, clock)
    command = asked(planner, clock, quick=options.quick)
    details: dict[str, Any] = {
        "the whole command": command,
        "steps, CPU s": [f"{at_s:.1f}: {said}" for at_s, said in clock.steps],
    }
    found, holds = planner.found, False
    words, search_s = f"missed: {NOT_ANSWERED}", LIMIT_S
    if found is not None:
        assert file.scenario.slo is not None
        shares = checked(file, found.replicas, options.seed + UNSEEN)
        right, search_s = is_right(shares, file.scenario.slo.share), found.cpu_s
        holds = search_s <= GOAL_S and right
        words = "holds" if holds else "missed"
        details = {**found_told(found, shares), "the answer is right": right, **details}
    return Figure(
        "capacity_time", search_s, search_s, search_s, 1.0, planner.requests, GOAL_S, holds, machine(), options.seed,
        words, details,
    )  # fmt: skip


def found_told(found: Found, shares: Mapping[str, float | None]) -> dict[str, object]:
    """As details."""
    told = {name: NOT_ANSWERED if share is None else round(share, 4) for name, share in shares.items()}
    return {
        "replicas": found.replicas,
        "CPU seconds of whole runs that confirm it": round(found.whole_cpu_s, 1),
        "wall seconds": round(found.wall_s, 1),
        "whole runs that none of it has seen": told,
    }


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    with on_core(1):
        report(figure(given), given)
