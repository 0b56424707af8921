"""Do a thousand edges that read the same aged load reports chase each other from replica to replica?

A thousand simulated sites with the live chooser share eight replicas, whose queues they hear of twice a second; all
send the same work. Value: the variance of a replica's queue, in seconds of work, over that of an M/G/1 queue with the
same work, which is what sending each request to a replica drawn at random gives (Pollaczek-Khinchine and its second
moment). A herd makes it many times that. Beside it: the same sites where each takes the replica that it believes the
least busy, which is what a herd is made of. Goal: 1. There is no noise of a machine in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

from benchmarks.figure import Figure, Interval, Options, bootstrap, machine, parse_options, report
from partitioner.measurements import AffineTime
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import PlanCosts, PlanEntry, PlanTable
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.cloud import SimulatedCloud
from simulations.kernel import Simulation
from simulations.replica_kind import ReplicaKind
from simulations.site import UNBATCHED, Arrival, Site, SiteFacts

GOAL, REPLICAS, LOAD, SUFFIX_S, SPREAD, RTT_S = 1.0, 8, 0.8, 0.03, 0.2, 0.04
SAMPLE_EVERY_S, WARM_UP_S, BLOCK = 0.1, 10.0, 50


class LeastBusy(PlanChooser):
    """Takes the replica that it believes the least busy."""

    def choose_replica(self, count: int, finish_s: Callable[[int], float]) -> int:
        return min(range(count), key=finish_s)


@dataclass(frozen=True, slots=True)
class Queues:
    """Seconds of work at each replica, moment by moment, and the share of time that replicas worked."""

    samples: list[tuple[float, ...]]
    load: float

    def variances(self) -> list[float]:
        """Over the replicas and the moments of each block of them."""
        blocks = [self.samples[first : first + BLOCK] for first in range(0, len(self.samples), BLOCK)]
        mean = fmean(one for sample in self.samples for one in sample)
        return [fmean((one - mean) ** 2 for sample in block for one in sample) for block in blocks]


def table() -> PlanTable:
    """One plan that all must take: everything in the cloud."""
    down = (TensorCodec("logits", "raw", bytes=4000),)
    plan = Plan("net", "d" * 64, "bytes", (), (TensorCodec("input", "webp", bytes=20_000),), down, ())
    none, suffix = AffineTime(0.0, 0.0), AffineTime(SUFFIX_S, 0.0)
    return PlanTable("net", "d" * 64, (PlanEntry(plan, PlanCosts(none, suffix, 20_000, 0.0, 4000, 0.0, none)),))


def poisson_arrivals(rate_per_s: float, until_s: float, rng: random.Random) -> list[Arrival]:
    """Requests without files, from the first second on."""
    made, now_s = list[Arrival](), 1.0
    while (now_s := now_s + rng.expovariate(rate_per_s)) < until_s:
        made.append(Arrival(now_s, 0, noise=(rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1))))
    return made


def run(sites: int, length_s: float, make: Callable[[int], PlanChooser], seed: int) -> Queues:
    """Poisson arrivals at all sites together at the load, on fast links."""
    simulation, rng, plans = Simulation(), random.Random(seed), table()
    cloud = SimulatedCloud(simulation, ReplicaKind(UNBATCHED), REPLICAS)
    link = BandwidthTrace((0.0,), (100e6,))
    facts = SiteFacts(plans, link, link, RTT_S, SPREAD)
    rate = LOAD * REPLICAS / SUFFIX_S / sites
    for number in range(sites):
        if arrivals := poisson_arrivals(rate, length_s, rng):
            Site(facts, make(number), simulation, cloud, phase_s=rng.random() * 0.5).expect(arrivals)
    samples: list[tuple[float, ...]] = []

    def sample() -> None:
        samples.append(tuple(replica.queued_s for replica in cloud.replicas))
        if simulation.now_s + SAMPLE_EVERY_S < length_s:
            simulation.after(SAMPLE_EVERY_S, sample)

    simulation.at(WARM_UP_S, sample)
    simulation.run()
    return Queues(samples, fmean(replica.busy_s for replica in cloud.replicas) / length_s)


def random_variance(load: float) -> float:
    """Of the work in an M/G/1 queue with this load and log-normal work (Kleinrock, Queueing Systems I, 5.7)."""
    # Moments of a log-normal factor whose mean is 1.
    second, third = (SUFFIX_S**k * 2.718281828459045 ** (SPREAD**2 * k * (k - 1) / 2) for k in (2, 3))
    rate = load / SUFFIX_S
    mean = rate * second / (2 * (1 - load))
    return float(mean**2 + rate * third / (3 * (1 - load)))


def figure(options: Options) -> Figure:
    """The figure."""
    sites, length_s = (200, 60.0) if options.quick else (1000, 120.0)
    ours = run(sites, length_s, lambda number: PlanChooser(seed=number, explore_share=0.0), options.seed)
    herd = run(sites, length_s, lambda number: LeastBusy(seed=number, explore_share=0.0), options.seed)
    expected = random_variance(ours.load)
    value, beside = (_ratio(found, expected, options.seed) for found in (ours, herd))
    holds = value.low <= GOAL
    details = {
        "a replica's queue": f"{fmean(_all(ours)) * 1e3:.0f} ms of work, deviation "
        f"{pvariance(_all(ours)) ** 0.5 * 1e3:.0f} ms; drawn at random it would be {expected**0.5 * 1e3:.0f} ms",
        "each takes the least busy": f"{beside.value:.2f} [{beside.low:.2f}, {beside.high:.2f}], "
        f"mean {fmean(_all(herd)) * 1e3:.0f} ms of work",
        "sites, replicas, load": f"{sites}, {REPLICAS}, {ours.load:.2f}; reports twice a second",
    }
    return Figure(
        "herd", value.value, value.low, value.high, 1.0, len(ours.samples), GOAL, holds, machine(), options.seed,
        "holds" if holds else "missed", details,
    )  # fmt: skip


def _ratio(queues: Queues, expected: float, seed: int) -> Interval:
    return bootstrap([one / expected for one in queues.variances()], seed, fmean)


def _all(queues: Queues) -> Sequence[float]:
    return [one for sample in queues.samples for one in sample]


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(figure(given), given)
