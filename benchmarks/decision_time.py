"""What one decision takes on the edge's event loop, for every policy, with what estimators do for it.

python benchmarks/decision_time.py [--quick] [--json] [--record]
A decision is all that one request costs between its facts and its plan: the link estimate learns a transfer and is
read, a replica's load report comes in, the edge's queue is asked and hears of the work, the sooner of two replicas is
taken, the plan is chosen and logged, and the queues hear of the end. Facts differ at each. The value is the slowest
policy's median at 12 plans and 4 replicas, in microseconds; the floor is what reading the clock takes. Working out the
reason, and learning from an answer, are timed apart: neither is between a request and its plan. A plain loop of 1,000
additions is timed beside every policy: what a microsecond is worth on a shared machine.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from benchmarks.figure import Figure, bootstrap, machine, parse_options, report
from nodes.chooser import Choice, ChoiceRequest, StageTimes, Transfer
from partitioner.measurements import AffineTime
from partitioner.plan import InputForm, Plan, TensorCodec
from partitioner.plan_table import PlanCosts, PlanEntry, PlanTable
from scheduler.plan_chooser import PlanChooser

GOALS_US = {(12, 4): 20.0, (40, 8): 40.0}
GOAL_TAIL = 3.0
DIGEST = "d" * 64
POLICIES: dict[str, dict[str, object]] = {
    "latency": {},
    "throughput": {},
    "energy": {"busy": "5W", "idle": "1W", "radio": "2W"},
    "cost": {"price": "0.9/h"},
    "slo": {"probability": 0.95},
    "random": {"weights": {"split": 2, "edge-only": 1, "cloud-only": 1}},
    "fixed": {"plan": "split"},
    "edge-only": {},
    "cloud-only": {},
}
OWN_WORK = 3  # requests of this edge under way at each replica


def plan_table(count: int, rng: Random, form: InputForm = "tensor") -> PlanTable:
    """Edge-only, cloud-only, and splits from early and large to late and small, as a network's are."""
    entries = [_entry("", 0.1, 0, 0.0, rng, form), _entry("input", 0.002, 150_000, 0.02, rng, form)]
    for number in range(count - 2):
        depth = (number + 1) / (count - 1)
        size = round(200_000 * (1 - depth) ** 2 + 4_000)
        entries.append(_entry(f"blocks.{number}", 0.1 * depth, size, 0.02 * (1 - depth), rng, form))
    return PlanTable("net", DIGEST, tuple(entries))


def _entry(boundary: str, edge_s: float, size: int, cloud_s: float, rng: Random, form: InputForm) -> PlanEntry:
    up = (TensorCodec(boundary, "zstd", bytes=size, spread_bytes=size // 20),) if boundary else ()
    down = (TensorCodec("logits", "raw", bytes=4000),) if boundary else ()
    edge_ops = () if boundary == "input" else ("stem",) if boundary else ("stem", "head")
    plan = Plan("net", DIGEST, form, edge_ops, up, down, () if boundary else ("logits",))
    edge, cloud = AffineTime(edge_s * 0.2, edge_s * 0.8), AffineTime(cloud_s * 0.5, cloud_s * 0.5)
    wire = (0, float(size), 0, 4000.0 if boundary else 0.0)
    spreads = rng.uniform(0.01, 0.08), rng.uniform(0.01, 0.08)
    return PlanEntry(plan, PlanCosts(edge, cloud, *wire, edge, *spreads))


@dataclass
class Site:
    """An edge with one chooser and its estimators, under some load."""

    policy: str
    plans: int
    replicas: int
    rng: Random
    now_s: float = 0.0
    number: int = 0
    choice: Choice | None = None
    request: ChoiceRequest | None = field(default=None)

    def __post_init__(self) -> None:
        self.table = plan_table(self.plans, self.rng)
        self.chooser = PlanChooser(self.policy, POLICIES[self.policy])
        self.edge_queue = self.chooser.edge_queue()
        self.cloud_queues = [self.chooser.cloud_queue() for _ in range(self.replicas)]
        for work in range(OWN_WORK):
            self.edge_queue.submitted(-work - 1, 0.01, 0.0)
            for queue in self.cloud_queues:
                queue.sent(-work - 1, 0.01, math.inf)
        for _ in range(40):
            self.chooser.observe_rtt(self.rng.uniform(0.019, 0.023), self.now_s)
            self.chooser.observe_transfer(Transfer("down", 40_000, 0.02), self.now_s)

    def decide(self) -> float:
        """One decision; the seconds it took."""
        self.number += 1
        number, rng, chooser = self.number, self.rng, self.chooser
        self.now_s = now_s = self.now_s + rng.uniform(0.001, 0.02)
        span_s, reported_s, deadline_s = rng.uniform(0.01, 0.03), rng.uniform(0.0, 0.02), rng.uniform(0.3, 0.6)
        reporting = self.cloud_queues[rng.randrange(self.replicas)]
        began = time.perf_counter()
        chooser.observe_transfer(Transfer("up", 40_000, span_s), now_s)
        reporting.reported(reported_s, now_s, 0.01)
        replica = chooser.choose_replica(self.replicas, lambda place: self.cloud_queues[place].wait_s(now_s) + 0.01)
        wait_s, cloud_wait_s = self.edge_queue.wait_s(now_s), self.cloud_queues[replica].wait_s(now_s)
        request = ChoiceRequest(self.table, "tensor", 1, 0, deadline_s, wait_s, cloud_wait_s, 0.002)
        choice = chooser.choose(request)
        self.edge_queue.submitted(number, choice.predicted.edge_s, now_s)
        self.cloud_queues[replica].sent(number, choice.predicted.cloud_s, now_s)
        self.edge_queue.finished(number, now_s)
        self.cloud_queues[replica].finished(number)
        took_s = time.perf_counter() - began
        self.choice, self.request = choice, request
        return took_s

    def reason(self) -> float:
        """The seconds that the last choice's reason takes."""
        assert self.choice is not None
        return _timed(lambda: self.choice and self.choice.reason)

    def learn(self) -> float:
        """The seconds that learning from an answer takes, with all that it changes for the next decision."""
        assert self.choice is not None
        entry, costs = self.choice.entry, self.choice.entry.costs
        edge_s, cloud_s = (side.at(1) * self.rng.uniform(1.0, 1.2) for side in (costs.edge, costs.cloud))
        crosses = entry.plan.kind != "edge-only"
        size = entry.uplink_bytes(1) if crosses else None
        times = StageTimes(entry, 1, 0, edge_s, cloud_s if crosses else None, size, 0.001)
        return _timed(lambda: self.chooser.observe_stages(times))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Times:
    """Of the decisions of one policy at one size, in microseconds."""

    policy: str
    size: tuple[int, int]
    decisions: tuple[float, ...]
    reason: float
    learning: float
    loop: float

    @property
    def median(self) -> float:
        """Of the decisions."""
        return statistics.median(self.decisions)

    @property
    def tail(self) -> float:
        """The 99th percentile over the median."""
        return sorted(self.decisions)[int(0.99 * len(self.decisions))] / self.median

    @property
    def holds(self) -> bool:
        """Whether both goals are met."""
        return self.median <= GOALS_US[self.size] and self.tail < GOAL_TAIL

    def row(self) -> str:
        """As a line of the details."""
        said = "" if self.holds else "  missed"
        return (
            f"{self.policy:<10}  {self.size[0]:>2} plans {self.size[1]} replicas  {self.median:5.1f} us"
            f"  p99 {self.tail:4.2f} x median  reason {self.reason:4.1f}  learning {self.learning:5.1f}"
            f"  loop {self.loop:4.1f}{said}"
        )


def measured(policy: str, size: tuple[int, int], count: int, seed: int) -> Times:
    """`count` decisions after a tenth of them unmeasured; every tenth is followed by what is timed apart."""
    site = Site(policy, *size, Random(seed))
    for _ in range(count // 10):
        site.decide()
    decisions, reasons, learning, loops = [], [], [], []
    for number in range(count):
        decisions.append(site.decide() * 1e6)
        if number % 10 == 0:
            reasons.append(site.reason() * 1e6)
            learning.append(site.learn() * 1e6)
            loops.append(_timed(_loop) * 1e6)
    apart = [statistics.median(times) for times in (reasons, learning, loops)]
    return Times(policy, size, tuple(decisions), *apart)


def _loop() -> int:
    total = 0
    for number in range(1000):
        total += number
    return total


def main() -> None:
    """Print the figure."""
    options = parse_options(__doc__)
    count = 5_000 if options.quick else 20_000
    times = [measured(policy, size, count, options.seed) for size in GOALS_US for policy in POLICIES]
    first = next(iter(GOALS_US))
    slowest = max((one for one in times if one.size == first), key=lambda one: one.median)
    interval = bootstrap(Random(options.seed).sample(slowest.decisions, 1000), options.seed)
    floor = statistics.median(_timed(lambda: None) * 1e6 for _ in range(count))
    missed = [f"{one.policy} at {one.size[0]}" for one in times if not one.holds]
    words = "holds" if not missed else "missed: " + ", ".join(missed)
    numbers = (slowest.median, interval.low, interval.high, floor, count, GOALS_US[first], not missed)
    goals = [f"{plans} plans, {replicas} replicas: {goal:g} us" for (plans, replicas), goal in GOALS_US.items()]
    details = {"slowest": slowest.policy, "goals": "; ".join(goals), "policies": [one.row() for one in times]}
    report(Figure("decision_time", *numbers, machine(), options.seed, words, details), options)


if __name__ == "__main__":
    main()
