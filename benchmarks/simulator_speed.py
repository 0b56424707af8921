"""What an event of the simulated clock costs, and how much less a kernel of one's own would take.

SimPy keeps the time unless a kernel of one's own is five times as fast. A: SimPy with processes that wait. B: a bare
heap of times and functions, as little as a kernel can be. Each runs events that schedule the next one, 100 of them at a
time. Value: A over B, the median of interleaved runs. Details: microseconds an event of both, and of the simulated
clock as it is used; and requests of one site with the live chooser (all stages, estimators, a decision each), as
seconds for a million on this core.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import simpy

from benchmarks.figure import Figure, Options, measure_pairs, parse_options, ratio_figure, report
from partitioner.plan_table import PlanTable
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.kernel import Simulation
from simulations.site import Arrival, Site, SiteFacts

GOAL, GOAL_EVENT_US = 5.0, 1.5
AT_ONCE = 100
TABLE = Path(__file__).parent / "plan_tables" / "efficientnet-lite0.json"


def bare_s(events: int) -> float:
    """Seconds for so many events of a bare heap."""
    heap: list[tuple[float, int, Callable[[float], None], float]] = []
    next_number, now_s, left = count().__next__, 0.0, events

    def tick(gap_s: float) -> None:
        nonlocal left
        left -= 1
        if left >= AT_ONCE:
            heappush(heap, (now_s + gap_s, next_number(), tick, gap_s))

    for number in range(AT_ONCE):
        heappush(heap, (0.01 * number, next_number(), tick, 0.5 + 0.001 * number))
    started = time.perf_counter()
    while heap:
        now_s, _, action, argument = heappop(heap)
        action(argument)
    return time.perf_counter() - started


def clock_s(events: int) -> float:
    """Seconds for so many events of the simulated clock."""
    simulation, left = Simulation(), events

    def tick(gap_s: float) -> None:
        nonlocal left
        left -= 1
        if left >= AT_ONCE:
            simulation.after(gap_s, tick, gap_s)

    for number in range(AT_ONCE):
        simulation.at(0.01 * number, tick, 0.5 + 0.001 * number)
    started = time.perf_counter()
    simulation.run()
    return time.perf_counter() - started


def simpy_s(events: int) -> float:
    """Seconds for so many events of SimPy."""
    environment, left = simpy.Environment(), events

    def ticking(start_s: float, gap_s: float) -> Generator[simpy.Event, Any, Any]:
        nonlocal left
        yield environment.timeout(start_s)
        left -= 1
        while left >= AT_ONCE:
            yield environment.timeout(gap_s)
            left -= 1

    for number in range(AT_ONCE):
        environment.process(ticking(0.01 * number, 0.5 + 0.001 * number))
    started = time.perf_counter()
    environment.run()
    return time.perf_counter() - started


def site_s(requests: int, seed: int) -> float:
    """Seconds for so many requests of one site on a steady link, three a second."""
    rng, now_s, arrivals = random.Random(seed), 1.0, list[Arrival]()
    for _ in range(requests):
        now_s += rng.expovariate(3.0)
        arrivals.append(Arrival(now_s, 100_000, noise=(rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1))))
    link = BandwidthTrace((0.0,), (5e6,))
    simulation = Simulation()
    site = Site(
        SiteFacts(PlanTable.from_json(TABLE.read_text()), link, link, 0.05, 0.05), PlanChooser(seed=seed), simulation
    )
    site.expect(arrivals)
    started = time.perf_counter()
    simulation.run()
    assert len(site.served) == requests
    return time.perf_counter() - started


def figure(options: Options) -> Figure:
    """The figure."""
    events, rounds, requests = (50_000, 10, 5_000) if options.quick else (200_000, 30, 50_000)
    # B over A: how many times faster one's own is.
    samples = measure_pairs(lambda: simpy_s(events), lambda: bare_s(events), rounds, options.seed)
    event_us = min(clock_s(events) for _ in range(3)) / events * 1e6
    whole_s = site_s(requests, options.seed) / requests * 1e6
    details = {
        "an event of a bare heap": f"{median(samples.b) / events * 1e6:.2f} us",
        "an event of SimPy": f"{median(samples.a) / events * 1e6:.2f} us",
        "an event of the simulated clock": f"{event_us:.2f} us, goal {GOAL_EVENT_US}",
        "a million requests of one site": f"{whole_s:.0f} s on one core (11 plans, one replica), goal 25",
    }
    made = ratio_figure("simulator_speed", samples, GOAL, options, better="higher", details=details)
    return replace(made, holds=made.holds and event_us <= GOAL_EVENT_US)


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(figure(given), given)
