"""What a simulated request costs, an event of the simulated clock, and how much less a kernel of one's own would take.

A scenario with all the live objects: admission, estimators, a decision among 12 plans by the live chooser, the edge's
queue, a link each, four cloud replicas that batch, and what is learned of every answer; each request has a deadline.
Value: seconds for a million requests on this core, from rounds of four edges; the floor is the ratio of every second
round to the others. Details: what a request costs as the fleet grows and the number of requests stays (a replica more
for every 25 edges); whether processes with other hash seeds trace the same bytes; and the kernel. SimPy keeps the time
unless a kernel of one's own is five times as fast: A is SimPy with processes that wait, B a bare heap of times and
functions, as little as a kernel can be, interleaved; each event schedules the next one, 100 of them at a time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import fields
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
from simulations.fleet import Fleet
from simulations.kernel import Simulation
from simulations.run_record import RunRecord
from simulations.scenario.reading import checked

GOAL_S, GOAL_KERNEL, GOAL_EVENT_US = 25.0, 5.0, 1.5
AT_ONCE = 100
PLANS, EDGES, RATE_PER_S, LEAST_REPLICAS, EDGES_A_REPLICA = 12, 4, 1.0, 4, 25
FLEETS, HASH_SEEDS = (1, 10, 100, 1000), ("0", "1", "77")


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


def run(edges: int, requests: int, seed: int) -> tuple[RunRecord, float]:
    """So many requests, in the mean, of a fleet; and the seconds that it took."""
    data = {
        "name": "speed",
        "seed": seed,
        "duration": requests / edges / RATE_PER_S,
        "models": [{"name": "net", "plans": "plans.json"}],
        "links": [{"name": "line", "uplink": "20mbps", "downlink": "20mbps", "rtt": "30ms"}],
        "edges": [{"name": "site", "count": edges, "link": "line", "policy": "latency"}],
        "cloud": {
            "replicas": max(LEAST_REPLICAS, edges // EDGES_A_REPLICA),
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


def request_us(edges: int, requests: int, seed: int) -> float:
    """Microseconds a request of that fleet."""
    record, took_s = run(edges, requests, seed)
    return took_s / len(record.requests) * 1e6


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


def figure(options: Options) -> Figure:
    """The figure."""
    events, pairs, rounds, requests = (50_000, 10, 10, 4_000) if options.quick else (200_000, 30, 30, 8_000)
    # B over A: how many times faster one's own is.
    samples = measure_pairs(lambda: simpy_s(events), lambda: bare_s(events), pairs, options.seed)
    kernel = ratio_figure("kernel", samples, GOAL_KERNEL, options, better="higher")
    event_us = min(clock_s(events) for _ in range(3)) / events * 1e6
    request_us(EDGES, requests, options.seed)
    measured = [request_us(EDGES, requests, options.seed) for _ in range(rounds)]
    value, floor = bootstrap(measured, options.seed), median(measured[::2]) / median(measured[1::2])
    grown = {edges: request_us(edges, 2 * requests, options.seed) for edges in FLEETS}
    same = traces_equal(options.seed)
    details = {
        "an event of a bare heap": f"{median(samples.b) / events * 1e6:.2f} us",
        "an event of SimPy": f"{median(samples.a) / events * 1e6:.2f} us",
        "a bare heap against SimPy": f"{kernel.value:.2f} [{kernel.low:.2f}, {kernel.high:.2f}] times as fast; "
        f"SimPy stays below {GOAL_KERNEL:g}",
        "an event of the simulated clock": f"{event_us:.2f} us, goal {GOAL_EVENT_US}",
        "as the fleet grows": ", ".join(f"{edges} edges {one:.0f} us" for edges, one in grown.items()) + " a request",
        "traces under other hash seeds": "equal" if same else "DIFFER",
    }
    holds = value.low <= GOAL_S * max(1.0, floor) and event_us <= GOAL_EVENT_US and same
    words = f"{'holds' if holds else 'missed'}: seconds for a million requests of {EDGES} edges on one core"
    numbers = (value.value, value.low, value.high, floor, rounds, GOAL_S, holds)
    return Figure("simulator_speed", *numbers, machine(), options.seed, words, details)


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(figure(given), given)
