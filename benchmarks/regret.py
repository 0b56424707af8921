"""How much does the live chooser lose to an oracle that knows the link? Recorded links on a simulated clock.

The scheduler's own chooser (policy `latency`, its estimators, its exploration) places requests of one edge on recorded
bandwidth, on steps with an outage, and under bursts of load. Beside it, on the same arrivals: the oracle, which knows
the recording and every queue and takes for each request the plan that will answer it first; edge-only; and each way of
cloud-only with an encoded input. Value: the mean time of the chooser over that of the oracle, on the worst trace; its
interval resamples blocks of 100 requests. There is no noise of a machine in it: the floor is 1. Details: the same
against the better of edge-only and cloud-only encoded, on whole traces and in windows of 100 requests; and how many
requests after a step of the link the first right plan is taken. Plans' costs are those that an edge measured at its
start, four times slowed (benchmarks/plan_tables), its times three times as long; every request differs from them by a
log-normal 5 %.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.measurements import AffineTime
from partitioner.plan_table import PlanTable
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.kernel import Simulation
from simulations.site import Arrival, Served, Site, SiteFacts
from simulations.trace_files.reading import read_link_trace

GOAL, GOAL_WHOLE, GOAL_WINDOW = 1.05, 1.02, 1.05
HERE = Path(__file__).parent
SPREAD, RTT_S, WINDOW = 0.05, 0.05, 100
RATE_PER_S, BURST_PER_S, BURST_EVERY_S, BURST_S = 0.8, 2.5, 60.0, 8.0
EDGE_FACTOR = 3.0
ENCODED = ("file", "webp", "png")
FILES = (31_303, 112_525, 142_987, 240_512)
# Mbit/s and how long: each step changes the link by 2 and more, the last but one is an outage.
STEPS = ((20.0, 60.0), (2.0, 60.0), (0.5, 60.0), (5.0, 60.0), (0.02, 10.0), (50.0, 60.0))


@dataclass(frozen=True, slots=True)
class Case:
    """A link and the requests that come over it."""

    name: str
    facts: SiteFacts
    arrivals: tuple[Arrival, ...]
    steps_s: tuple[float, ...] = ()


class Oracle(PlanChooser):
    """Knows what no chooser can: it asks the site itself when each plan would answer."""

    def __init__(self) -> None:
        super().__init__(explore_share=0.0)
        self.ask: Callable[[ChoiceRequest], Choice] | None = None

    def choose(self, request: ChoiceRequest) -> Choice:
        assert self.ask is not None
        return self.ask(request)


def served(case: Case, chooser: PlanChooser) -> list[Served]:
    """What became of the case's requests, in the order of their arrival."""
    simulation = Simulation()
    site = Site(case.facts, chooser, simulation)
    if isinstance(chooser, Oracle):
        coming = iter(case.arrivals)

        def ask(request: ChoiceRequest) -> Choice:
            arrival = next(coming)  # the site asks once for each, in order
            entries = case.facts.table.for_form(request.form)
            best = min(entries, key=lambda entry: site.finish_s(entry, arrival, simulation.now_s))
            link = Link(case.facts.uplink.at(simulation.now_s), case.facts.downlink.at(simulation.now_s), RTT_S)
            return Choice(best, best.predict(1, arrival.file_bytes, link), "it is known")

        chooser.ask = ask
    site.expect(list(case.arrivals))
    simulation.run()
    return sorted(site.served, key=lambda one: one.arrival.time_s)


def arrivals(until_s: float, seed: int, *, bursts: bool = False, rate_per_s: float = RATE_PER_S) -> tuple[Arrival, ...]:
    """Poisson arrivals of photos; with bursts, some seconds of each minute at three times the rate."""
    rng, now_s, made = random.Random(seed), 1.0, list[Arrival]()
    while True:
        burst = bursts and now_s % BURST_EVERY_S < BURST_S
        now_s += rng.expovariate(BURST_PER_S if burst else rate_per_s)
        if now_s >= until_s:
            return tuple(made)
        noise = (rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1))
        made.append(Arrival(now_s, rng.choice(FILES), noise=noise))


def plan_table() -> PlanTable:
    """The measured costs, the edge's three times as long: a small board beside a server, 12 times as slow."""
    measured = PlanTable.from_json((HERE / "plan_tables" / "efficientnet-lite0.json").read_text())

    def slower(time: AffineTime) -> AffineTime:
        return AffineTime(EDGE_FACTOR * time.fixed_s, EDGE_FACTOR * time.per_item_s)

    entries = [
        replace(
            one,
            costs=replace(one.costs, edge=slower(one.costs.edge), local_finish=slower(one.costs.local_finish)),
        )
        for one in measured.entries
    ]
    return replace(measured, entries=tuple(entries))


def cases(quick: bool, seed: int) -> list[Case]:
    """Recorded links, with steady arrivals and with bursts; the steps."""
    table = plan_table()
    paths = sorted(path for path in (HERE / "traces").glob("*/*") if path.name != "SOURCE.txt")
    made = []
    for number, path in enumerate(paths[::3] if quick else paths):
        trace = read_link_trace(path).uplink
        length_s = min(trace.period_s, 300.0) if quick else max(trace.period_s, 600.0)
        for bursts in (False, True):
            name = f"{path.parent.name}/{path.name[:24]}{', bursts' if bursts else ''}"
            facts = SiteFacts(table, trace, trace, RTT_S, SPREAD)
            made.append(Case(name, facts, arrivals(length_s, seed + number, bursts=bursts)))
    steps = stepped()
    facts = SiteFacts(table, steps, steps, RTT_S, SPREAD)
    laps = 1 if quick else 4
    changes = tuple(lap * steps.period_s + time_s for lap in range(laps) for time_s in steps.times_s)
    made.append(Case("steps and an outage", facts, arrivals(laps * steps.period_s, seed, bursts=False), changes[1:]))
    return made


def stepped() -> BandwidthTrace:
    """The steps as a trace that repeats."""
    times_s, now_s = [], 0.0
    for _, length_s in STEPS:
        times_s.append(now_s)
        now_s += length_s
    return BandwidthTrace(tuple(times_s), tuple(megabits * 1e6 for megabits, _ in STEPS))


def mean_s(requests: Sequence[Served]) -> float:
    """Of what they took."""
    return fmean(one.took_s for one in requests)


def blocks_ratio(ours: Sequence[Served], others: Sequence[Served], seed: int) -> Interval:
    """Ratio of the means; the interval resamples blocks of requests, as neighbours share a queue and a link."""
    pairs = [
        (sum(a.took_s for a, _ in block), sum(b.took_s for _, b in block))
        for block in _blocks(list(zip(ours, others, strict=True)))
    ]
    rng = random.Random(seed)

    def ratio(sample: Sequence[tuple[float, float]]) -> float:
        return sum(a for a, _ in sample) / sum(b for _, b in sample)

    resampled = sorted(ratio(rng.choices(pairs, k=len(pairs))) for _ in range(1000))
    return Interval(ratio(pairs), resampled[25], resampled[974])


def _blocks(pairs: list[tuple[Served, Served]]) -> list[list[tuple[Served, Served]]]:
    return [pairs[first : first + WINDOW] for first in range(0, len(pairs), WINDOW)]


def windows(ours: Sequence[Served], others: Sequence[Served]) -> list[float]:
    """Ratio of the sums over each whole window of requests."""
    return [
        sum(a.took_s for a, _ in block) / sum(b.took_s for _, b in block)
        for block in _blocks(list(zip(ours, others, strict=True)))
        if len(block) == WINDOW
    ]


def requests_until_right(case: Case, ours: Sequence[Served], oracle: Sequence[Served]) -> list[int]:
    """After each step: how many requests until the chooser's plan is the oracle's, or took at most 5 % longer."""
    counts = []
    ends = [*case.steps_s[1:], float("inf")]
    for start_s, end_s in zip(case.steps_s, ends, strict=True):
        pairs = [(a, b) for a, b in zip(ours, oracle, strict=True) if start_s <= a.arrival.time_s < end_s]
        right = (n for n, (a, b) in enumerate(pairs, 1) if a.plan_id == b.plan_id or a.took_s <= 1.05 * b.took_s)
        counts.append(next(right, len(pairs) + 1))
    return counts


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case says."""

    case: Case
    against_oracle: Interval
    against_static: float
    windows: list[float]
    until_right: list[int]
    line: str


def outcome(case: Case, seed: int) -> Outcome:
    """The chooser, the oracle and everything static, on the same arrivals."""
    ours, oracle = served(case, PlanChooser(seed=seed)), served(case, Oracle())
    edge = served(case, PlanChooser("edge-only"))
    by_codec = {codec: served(case, PlanChooser(f"fixed:{_cloud_only(case, codec)}")) for codec in ENCODED}
    codec, cloud = min(by_codec.items(), key=lambda item: mean_s(item[1]))
    static = min(edge, cloud, key=mean_s)
    found = blocks_ratio(ours, oracle, seed)
    best = "edge-only" if static is edge else codec
    line = (
        f"{case.name}: {found.value:.3f} [{found.low:.3f}, {found.high:.3f}] of the oracle's "
        f"{mean_s(oracle) * 1e3:.0f} ms, {mean_s(ours) / mean_s(static):.3f} of {best} {mean_s(static) * 1e3:.0f} ms "
        f"(edge-only {mean_s(edge) * 1e3:.0f}, {codec} {mean_s(cloud) * 1e3:.0f}), n {len(ours)}; {_mix(case, ours)}"
    )
    until = requests_until_right(case, ours, oracle) if case.steps_s else []
    return Outcome(case, found, mean_s(ours) / mean_s(static), windows(ours, static), until, line)


def _cloud_only(case: Case, codec: str) -> str:
    return next(
        entry.plan.plan_id
        for entry in case.facts.table.for_form("bytes")
        if entry.plan.kind == "cloud-only" and entry.plan.boundary[0].codec == codec
    )


def plan_kind(case: Case, plan_id: str) -> str:
    """ "edge-only", "split transform"."""
    plan = case.facts.table.by_id(plan_id).plan
    return plan.kind if plan.kind == "edge-only" else f"{plan.kind} {plan.boundary[0].codec}"


def _mix(case: Case, requests: Sequence[Served]) -> str:
    kinds: dict[str, int] = {}
    for one in requests:
        name = plan_kind(case, one.plan_id)
        kinds[name] = kinds.get(name, 0) + 1
    return ", ".join(f"{name} {count}" for name, count in sorted(kinds.items(), key=lambda item: -item[1]))


def figure(options: Options) -> Figure:
    """The figure over all cases."""
    found = [outcome(case, options.seed) for case in cases(options.quick, options.seed)]
    worst = max(found, key=lambda one: one.against_oracle.value)
    every_window = [ratio for one in found for ratio in one.windows]
    within = fmean(ratio <= GOAL_WINDOW for ratio in every_window)
    until = [count for one in found for count in one.until_right]
    whole = max(one.against_static for one in found)
    holds = worst.against_oracle.low <= GOAL and whole <= GOAL_WHOLE and within >= 0.95 and max(until) <= 5
    details: Mapping[str, object] = {
        "worst whole trace against the better static": f"{whole:.3f} of {GOAL_WHOLE}",
        "windows of 100 within 1.05": f"{within:.3f} of 0.95, n {len(every_window)}, worst {max(every_window):.3f}",
        "requests after a step until the right plan": f"{until}, at most 5 asked",
        "cases": [one.line for one in found],
    }
    value = worst.against_oracle
    return Figure(
        figure="regret", value=value.value, low=value.low, high=value.high, floor=1.0,
        n=sum(len(one.case.arrivals) for one in found), goal=GOAL, holds=holds, machine=machine(), seed=options.seed,
        verdict="holds" if holds else "missed", details=details,
    )  # fmt: skip


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(figure(given), given)
