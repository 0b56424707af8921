"""What a simulated request costs, an event of the simulated clock, and how much less a kernel of one's own would take.

A scenario with all the live objects: admission, estimators, a decision among 12 plans by the live chooser, the edge's
queue, a link each, four cloud replicas that batch, and what is learned of every answer; each request has a deadline.
Value: seconds for a million requests on this core, scaled up from rounds of four edges with a few thousand each: nobody
waits for a million; the floor is the ratio of every second round to the others. It holds only where the cost of a
request is nearly flat, too: at most 1.25 times as much in a fleet of 1,000 edges (A) as in one of 10 (B) that meets as
many requests in all, with a replica more for every 25 edges; and where processes with other hash seeds trace the same
bytes. Details: those; one run of 100,000 requests of a fleet of 10,000 edges and 1,000 replicas, with its seconds and
the peak of its process's memory (a tenth of each with --quick); and the kernel. SimPy keeps the time unless a kernel of
one's own is five times as fast: A is SimPy with processes that wait, B a bare heap of times and functions, as little as
a kernel can be, interleaved; each event schedules the next one, 100 of them at a time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields, replace
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import simpy

from benchmarks.decision_time import plan_table
from benchmarks.figure import Figure, Options, bootstrap, machine, measure_pairs, parse_options, ratio_figure, report
from benchmarks.fleet_scale import fleet_scale
from simulations.fleet import Fleet
from simulations.kernel import Simulation
from simulations.run_record import RunRecord
from simulations.scenario.reading import checked

GOAL_S, GOAL_KERNEL, GOAL_EVENT_US, GOAL_GROWTH = 25.0, 5.0, 1.5, 1.25
AT_ONCE = 100
PLANS, EDGES, RATE_PER_S, LEAST_REPLICAS, EDGES_A_REPLICA = 12, 4, 1.0, 4, 25
SMALL, LARGE, OTHER_FLEETS, HASH_SEEDS = 10, 1000, (1, 100), ("0", "1", "77")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: events and pairs of the kernels, rounds and their requests, pairs of fleets,
    and edges, replicas and requests of the largest fleet."""

    events: int
    pairs: int
    rounds: int
    requests: int
    fleet_pairs: int
    largest: tuple[int, int, int]


FULL = Scale(200_000, 30, 30, 8_000, 10, (10_000, 1_000, 100_000))
QUICK = Scale(50_000, 10, 10, 4_000, 3, (1_000, 100, 10_000))


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


def run(edges: int, requests: int, seed: int, replicas: int | None = None) -> tuple[RunRecord, float]:
    """So many requests, in the mean, of a fleet; and the seconds that it took. replicas: None for as many as edges
    need."""
    data = {
        "name": "speed",
        "seed": seed,
        "duration": requests / edges / RATE_PER_S,
        "models": [{"name": "net", "plans": "plans.json"}],
        "links": [{"name": "line", "uplink": "20mbps", "downlink": "20mbps", "rtt": "30ms"}],
        "edges": [{"name": "site", "count": edges, "link": "line", "policy": "latency"}],
        "cloud": {
            "replicas": replicas or max(LEAST_REPLICAS, edges // EDGES_A_REPLICA),
            "batching": {"max_batch": 8, "max_delay": "2ms"},
        },
        "clients": [
            {
                "name": "camera",
                "edges": "site",
                "model": "net",
                "arrivals": {"kind": "poisson", "rate_per_s": RATE_PER_S},
                "file": "100kB",
                "deadline": "500ms",
            }
        ],
    }
    with TemporaryDirectory() as name:
        (Path(name) / "plans.json").write_text(plan_table(PLANS, Random(seed), "bytes").to_json())
        fleet = Fleet(checked(data, Path(name)), Path(name))
    started = time.perf_counter()
    record = fleet.run()
    return record, time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Timed:
    """A run of a fleet: how many requests it really simulated, and the seconds that it took."""

    requests: int
    took_s: float

    @property
    def request_us(self) -> float:
        """Microseconds a request: seconds a million of them."""
        return self.took_s / self.requests * 1e6


def timed(edges: int, requests: int, seed: int) -> Timed:
    """Of so many requests in the mean."""
    record, took_s = run(edges, requests, seed)
    return Timed(len(record.requests), took_s)


def growth(scale: Scale, options: Options) -> Figure:
    """What a request costs in the large fleet over what it costs in the small one, of as many requests in all."""

    def request_us(edges: int) -> float:
        return timed(edges, 2 * scale.requests, options.seed).request_us

    samples = measure_pairs(lambda: request_us(LARGE), lambda: request_us(SMALL), scale.fleet_pairs, options.seed)
    others = {f"{edges} edges": f"{request_us(edges):.0f} us" for edges in OTHER_FLEETS}
    return ratio_figure("growth", samples, GOAL_GROWTH, options, details=others)


def trace(seed: int) -> str:
    """A digest of all that is recorded of every request of a small fleet, to the last bit."""
    record, _ = run(20, 1000, seed)
    digest = hashlib.sha256(repr(record.words).encode())
    for column in fields(record.requests):
        digest.update(getattr(record.requests, column.name).tobytes())
    return digest.hexdigest()


def traces_equal(seed: int) -> bool:
    """Whether processes with other hash seeds trace the same."""
    call = [sys.executable, "-c", f"from benchmarks.simulator_speed import trace; print(trace({seed}))"]
    seen = {
        subprocess.check_output(call, env={**os.environ, "PYTHONHASHSEED": hash_seed}, timeout=60)
        for hash_seed in HASH_SEEDS
    }
    return len(seen) == 1


def growth_said(grown: Figure) -> dict[str, object]:
    """The growth as details of the figure."""
    own = {f"{LARGE} edges": grown.details["a_median"], f"{SMALL} edges": grown.details["b_median"]}
    medians = [f"{edges} {float(str(one)):.0f} us" for edges, one in own.items()]
    once = [f"{name} {grown.details[name]}" for name in (f"{edges} edges" for edges in OTHER_FLEETS)]
    return {
        f"{LARGE} edges against {SMALL}": f"{grown.value:.2f} [{grown.low:.2f}, {grown.high:.2f}] times as much a "
        f"request, goal {GOAL_GROWTH}, floor {grown.floor:.2f}, n {grown.n}: {grown.verdict}",
        "a request as the fleet grows": f"{', '.join(medians)}; once: {', '.join(once)}",
    }


def kernels(scale: Scale, options: Options, event_us: float) -> dict[str, object]:
    """Details: SimPy against a bare heap, and an event of the simulated clock."""
    # B over A: how many times faster one's own is.
    samples = measure_pairs(lambda: simpy_s(scale.events), lambda: bare_s(scale.events), scale.pairs, options.seed)
    kernel = ratio_figure("kernel", samples, GOAL_KERNEL, options, better="higher")
    return {
        "an event of a bare heap": f"{median(samples.b) / scale.events * 1e6:.2f} us",
        "an event of SimPy": f"{median(samples.a) / scale.events * 1e6:.2f} us",
        "a bare heap against SimPy": f"{kernel.value:.2f} [{kernel.low:.2f}, {kernel.high:.2f}] times as fast; "
        f"SimPy stays below {GOAL_KERNEL:g}",
        "an event of the simulated clock": f"{event_us:.2f} us, goal {GOAL_EVENT_US}",
    }


def judged(rounds: Sequence[Timed], event_us: float, grown: Figure, same: bool, options: Options) -> Figure:
    """The figure without the kernels' details; it holds where all of these do."""
    measured = [one.request_us for one in rounds]
    value, floor = bootstrap(measured, options.seed), median(measured[::2]) / median(measured[1::2])
    parts = {
        "a million requests": value.low <= GOAL_S * max(1.0, floor),
        "an event": event_us <= GOAL_EVENT_US,
        f"the growth ({grown.verdict})": grown.holds,
        "equal traces": same,
    }
    holds, simulated = all(parts.values()), sum(one.requests for one in rounds)
    said = "holds" if holds else f"missed, {' and '.join(name for name, part in parts.items() if not part)}"
    words = f"{said}: seconds for a million requests of {EDGES} edges on one core, scaled up from {simulated} simulated"
    details = {
        "a million requests": f"scaled up from {simulated} that were simulated: {len(rounds)} x {rounds[0].requests}",
        **growth_said(grown),
        "traces under other hash seeds": "equal" if same else "DIFFER",
    }
    numbers = (value.value, value.low, value.high, floor, len(rounds), GOAL_S, holds)
    return Figure("simulator_speed", *numbers, machine(), options.seed, words, details)


def figure(options: Options) -> Figure:
    """The figure."""
    scale = QUICK if options.quick else FULL
    event_us = min(clock_s(scale.events) for _ in range(3)) / scale.events * 1e6
    timed(EDGES, scale.requests, options.seed)
    rounds = [timed(EDGES, scale.requests, options.seed) for _ in range(scale.rounds)]
    grown = growth(scale, options)
    made = judged(rounds, event_us, grown, traces_equal(options.seed), options)
    largest = fleet_scale(*scale.largest, options.seed).said()
    return replace(made, details={**made.details, **largest, **kernels(scale, options, event_us)})


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(figure(given), given)
