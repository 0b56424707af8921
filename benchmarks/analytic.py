"""Does the simulator queue as theory says? Its own edges and replicas on its own clock, where formulas are exact.

Poisson arrivals at one edge's worker, at a replica, or at four; services that are exponential, all alike, log-normal or
of two phases. Each mean wait (and a share of those who wait, a quantile) is compared with its formula. Method:
independent replications, the first tenth of each left out, Student's t over them; the intervals of all cases hold
together with 95 % (Bonferroni), so that none is outside by chance alone more than once in twenty runs. Value: the
largest distance of a formula from the measured mean, over half the width of its interval. Goal: 1, with intervals no
wider than 8 % either way (not of --quick). There is no noise of a machine in it: the floor is 1.

One queue before four servers is four replicas of which each request takes the one that is free first: who waits how
long is the same (Kiefer and Wolfowitz 1955).
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t as student_t

from benchmarks.figure import Figure, Options, machine, parse_options, report
from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup, BatchLimits, WaitingRequest
from scheduler.estimators.load import EdgeQueueEstimator
from simulations.edge_worker import EdgeWorker
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica, Suffix, SuffixRan
from simulations.replica_kind import PlanSuffix, ReplicaKind

GOAL, WIDEST, TOGETHER, WARM_UP = 1.0, 0.08, 0.95, 0.1
PLAN = PlanSuffix(BatchGroup("net", "cut", "eager", ()), BatchTimes.of({1: 1.0}))

Draw = Callable[[random.Random], float]
"""A service time; its mean is 1."""
Submit = Callable[[float, Callable[[float], None]], None]
"""Hands over a service of so many seconds; the callback hears how long it waited."""


def exponential(rng: random.Random) -> float:
    return rng.expovariate(1.0)


def constant(_: random.Random) -> float:
    return 1.0


LOG_DEVIATION = 0.5


def log_normal(rng: random.Random) -> float:
    return math.exp(LOG_DEVIATION * rng.gauss(0.0, 1.0) - LOG_DEVIATION**2 / 2)


SHORT_SHARE, SHORT_S = 0.8, 0.5
LONG_S = (1.0 - SHORT_SHARE * SHORT_S) / (1.0 - SHORT_SHARE)


def two_phases(rng: random.Random) -> float:
    return rng.expovariate(1.0) * (SHORT_S if rng.random() < SHORT_SHARE else LONG_S)


SECOND_MOMENTS: dict[Draw, float] = {
    exponential: 2.0,
    constant: 1.0,
    log_normal: math.exp(LOG_DEVIATION**2),
    two_phases: 2.0 * (SHORT_SHARE * SHORT_S**2 + (1.0 - SHORT_SHARE) * LONG_S**2),
}


def mean_wait(load: float, draw: Draw) -> float:
    """M/G/1 (Pollaczek and Khinchine; Kleinrock, Queueing Systems I, 5.6); M/M/1 and M/D/1 are cases of it."""
    return load * SECOND_MOMENTS[draw] / (2.0 * (1.0 - load))


def share_that_waits(load: float, servers: int) -> float:
    """M/M/c (Erlang C; Kleinrock I, 3.5)."""
    offered = load * servers
    full = offered**servers / math.factorial(servers) / (1.0 - load)
    return full / (math.fsum(offered**n / math.factorial(n) for n in range(servers)) + full)


@dataclass(frozen=True, slots=True)
class Case:
    """Where Poisson arrivals go, and what is expected. statistic: of the waits of one replication."""

    name: str
    draw: Draw
    load: float
    expected: float
    servers: int = 1
    on_edge: bool = False
    statistic: Callable[[Sequence[float]], float] = fmean


def share_above_zero(waits_s: Sequence[float]) -> float:
    return fmean(wait_s > 1e-9 for wait_s in waits_s)


def ninety_fifth(waits_s: Sequence[float]) -> float:
    return sorted(waits_s)[math.ceil(0.95 * len(waits_s)) - 1]


def cases() -> list[Case]:
    """The edge's worker and a replica each alone; four replicas."""
    erlang = share_that_waits(0.8, 4)
    return [
        Case("M/M/1 on an edge, 0.5", exponential, 0.5, mean_wait(0.5, exponential), on_edge=True),
        Case("M/M/1, 0.5", exponential, 0.5, mean_wait(0.5, exponential)),
        Case("M/M/1, 0.8", exponential, 0.8, mean_wait(0.8, exponential)),
        # A wait is 0 with 1 - load, else exponential with rate 1 - load (Kleinrock I, 5.7).
        Case("M/M/1, 0.7, 95th percentile", exponential, 0.7, math.log(0.7 / 0.05) / 0.3, statistic=ninety_fifth),
        Case("M/D/1 on an edge, 0.7", constant, 0.7, mean_wait(0.7, constant), on_edge=True),
        Case("M/D/1, 0.8", constant, 0.8, mean_wait(0.8, constant)),
        Case("M/G/1, log-normal, 0.7", log_normal, 0.7, mean_wait(0.7, log_normal)),
        Case("M/G/1, two phases, 0.6", two_phases, 0.6, mean_wait(0.6, two_phases)),
        Case("M/M/4, 0.8", exponential, 0.8, erlang / (4 * (1.0 - 0.8)), servers=4),
        Case("M/M/4, 0.8, share that waits", exponential, 0.8, erlang, servers=4, statistic=share_above_zero),
    ]


def edge(simulation: Simulation) -> Submit:
    """One worker; prefixes without a deadline are in the order of arrival."""
    worker, numbers = EdgeWorker(simulation, EdgeQueueEstimator()), itertools.count(1)

    def submit(seconds: float, waited: Callable[[float], None]) -> None:
        came_s = simulation.now_s

        def done(own_s: float) -> None:
            waited(simulation.now_s - came_s - own_s)

        worker.submit_piece(WaitingRequest(next(numbers), PLAN.group, 1, PLAN.times, came_s), seconds, done)

    return submit


def replicas(simulation: Simulation, count: int) -> Submit:
    """Nothing batched; the one that is free first gets the next."""
    kind = ReplicaKind(BatchLimits(max_batch=1), queue=1 << 30)
    all_ = [SimulatedReplica(simulation, kind, number) for number in range(count)]

    def submit(seconds: float, waited: Callable[[float], None]) -> None:
        def ran(one: SuffixRan) -> None:
            waited(one.queue_s)

        first = min(all_, key=lambda replica: replica.free_s)
        first.submit(Suffix(PLAN, seconds, ran, lambda error: None))

    return submit


def waits_s(case: Case, requests: int, seed: int) -> list[float]:
    """Of the requests of one replication, in the order in which they were served, without the warm-up."""
    simulation, rng, waits = Simulation(), random.Random(seed), list[float]()
    submit = edge(simulation) if case.on_edge else replicas(simulation, case.servers)
    rate = case.load * case.servers

    def arrive(left: int) -> None:
        submit(case.draw(rng), waits.append)
        if left > 1:
            simulation.after(rng.expovariate(rate), arrive, left - 1)

    simulation.after(rng.expovariate(rate), arrive, requests)
    simulation.run()
    assert len(waits) == requests
    return waits[int(WARM_UP * requests) :]


@dataclass(frozen=True, slots=True)
class Compared:
    """A case as measured: mean over replications, and half its interval's width."""

    case: Case
    mean: float
    half_width: float

    @property
    def distance(self) -> float:
        """Of the formula from the mean, in half widths."""
        return abs(self.mean - self.case.expected) / self.half_width

    @property
    def line(self) -> str:
        """In words."""
        return (
            f"{self.case.name}: formula {self.case.expected:.4f}, measured {self.mean:.4f} "
            f"+- {self.half_width:.4f} ({self.half_width / self.case.expected:.1%}), off by {self.distance:.2f} of that"
        )


def compared(case: Case, replications: int, requests: int, seed: int, confidence: float) -> Compared:
    """confidence: of this case's interval."""
    rng = random.Random(f"{case.name} {seed}")
    found = [case.statistic(waits_s(case, requests, rng.getrandbits(64))) for _ in range(replications)]
    quantile = float(student_t.ppf(0.5 + confidence / 2, replications - 1))
    return Compared(case, fmean(found), quantile * stdev(found) / math.sqrt(replications))


def compared_all(all_: Sequence[Case], replications: int, requests: int, seed: int) -> list[Compared]:
    """Those cases, their intervals together as sure as TOGETHER."""
    confidence = 1.0 - (1.0 - TOGETHER) / len(all_)
    return [compared(case, replications, requests, seed, confidence) for case in all_]


def figure(options: Options) -> Figure:
    """The figure over all cases."""
    # Means of short replications are skewed, and Student's t is too sure of them: --quick has fewer cases instead.
    replications, requests = (20, 8_000) if options.quick else (40, 10_000)
    found = compared_all(cases()[1::2] if options.quick else cases(), replications, requests, options.seed)
    worst = max(found, key=lambda one: one.distance)
    widest = max(one.half_width / one.case.expected for one in found)
    holds = worst.distance <= GOAL and (options.quick or widest <= WIDEST)
    details = {
        "value": "distance of the formula from the measured mean over half the interval's width, of the worst case",
        "widest interval": f"{widest:.1%} either way, {WIDEST:.0%} asked of the full run",
        "replications, requests in each": f"{replications}, {requests}, of which {WARM_UP:.0%} warm up",
        "cases": [one.line for one in found],
    }
    least = min(one.distance for one in found)
    return Figure(
        "analytic", worst.distance, least, worst.distance, 1.0, replications * requests * len(found), GOAL, holds,
        machine(), options.seed, "holds" if holds else "missed", details,
    )  # fmt: skip


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(figure(given), given)
