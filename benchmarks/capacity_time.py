"""How long does it take to say how many replicas 500 cameras need? One core; the answer checked by whole runs.

The scenario is examples/five-hundred-cameras.yaml: a frame a second each (Poisson), ten simulated minutes, the live
chooser, admission, resumption and batching. The search that `isthmus capacity` begins with finds the fewest replicas
that answer 99 % within 500 ms with a confidence of 95 %, stopping each fleet as soon as its interval is clear of
that. Value: its CPU seconds; the headroom and the what-ifs that the command goes on with are not in it. Checked: a
whole run with one replica less is below 99 %, one with exactly as many above, both with a seed that the search has
not seen. --quick: 100 cameras, two minutes. There is no baseline: the floor is 1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import Figure, Options, machine, parse_options, report
from benchmarks.node_process import on_core
from simulations.answers.slo import Slo, kept
from simulations.capacity.planner import CapacityPlanner
from simulations.fleet import Fleet
from simulations.scenario.reading import ScenarioFile, read_scenario
from simulations.scenario.sweep import with_settings

GOAL_S = 60.0
SCENARIO = Path(__file__).resolve().parent.parent / "examples" / "five-hundred-cameras.yaml"
QUICK = (("edges.camera.count", 100), ("duration", "2min"), ("replications", 1))
UNSEEN = 1000


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


def whole_run_share(file: ScenarioFile, replicas: int, seed: int) -> float:
    """Of the requests of a whole run, the share in time."""
    settled = with_settings(file, [("cloud.replicas", replicas), ("seed", seed)])
    run = Fleet(settled.scenario, settled.folder).run()
    assert settled.scenario.slo is not None
    slo = Slo(settled.scenario.slo.within, settled.scenario.slo.share)
    return float(np.mean(kept(run, run.counted(), slo)))


def checked(file: ScenarioFile, replicas: int, seed: int) -> Mapping[str, float]:
    """With one replica less, and with exactly so many."""
    return {name: whole_run_share(file, n, seed) for name, n in (("less", replicas - 1), ("as many", replicas)) if n}


def figure(options: Options) -> Figure:
    file = read_scenario(SCENARIO)
    file = with_settings(file, [("seed", options.seed + 1), *(QUICK if options.quick else ())])
    clock = Clock()
    planner = CapacityPlanner(file, clock)
    found = planner.cheapest()
    search_s, wall_s = clock.cpu_s, clock.wall_s
    assert found is not None
    assert file.scenario.slo is not None
    shares, goal = checked(file, found.replicas, options.seed + UNSEEN), file.scenario.slo.share
    right = shares["as many"] >= goal and shares.get("less", 0.0) < goal
    holds = search_s <= GOAL_S and right
    details: dict[str, Any] = {
        "whole runs that the search has not seen": {name: round(share, 4) for name, share in shares.items()},
        "the answer is right": right,
        "wall seconds of the search": round(wall_s, 1),
        "replicas": found.replicas,
        "steps, CPU s": [f"{at_s:.1f}: {said}" for at_s, said in clock.steps],
    }
    return Figure(
        "capacity_time", search_s, search_s, search_s, 1.0, planner.requests, GOAL_S, holds, machine(), options.seed,
        "holds" if holds else "missed", details,
    )  # fmt: skip


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    with on_core(1):
        report(figure(given), given)
