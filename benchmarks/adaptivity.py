"""Choosing for each request against the best plan that never changes, chosen in hindsight. On a simulated clock.

The cases of `regret`: recorded links, steady and with bursts, and steps with an outage; beside them all recorded links
one after the other, as a device that moves sees them. For each case every plan is held fixed in turn, and the one with
the least mean is the rival. Value: the rival's mean over the chooser's, on the links one after the other; its interval
resamples blocks of 100 requests. Details: the same of each case; the chooser's 99th percentile over the rival's; and
the highest rate of requests at which 95 of 100 are answered in 800 ms, over that of the plan which keeps it longest,
which `--quick` leaves out: it judges the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from benchmarks.regret import RTT_S, SPREAD, Case, arrivals, blocks_ratio, cases, mean_s, plan_kind, served
from nodes.measure.timing import percentile
from partitioner.plan_table import PlanTable
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.site import Served, SiteFacts
from simulations.trace_files.reading import read_link_trace

GOAL, GOAL_P99, GOAL_GOODPUT = 1.5, 1.05, 2.0
SLO_S, SLO_SHARE = 0.8, 0.95
HERE = Path(__file__).parent
EACH_S = 60.0


def moving(table: PlanTable, seed: int, rate_per_s: float | None = None) -> Case:
    """A minute of each recorded link, one after the other."""
    times_s, rates, now_s = list[float](), list[float](), 0.0
    for path in sorted(path for path in (HERE / "traces").glob("*/*") if path.name != "SOURCE.txt"):
        for time_s, state in read_link_trace(path).changes():
            if time_s >= EACH_S:
                break
            times_s.append(now_s + time_s)
            rates.append(state.uplink_bps)
        now_s += EACH_S
    link = BandwidthTrace(tuple(times_s), tuple(rates))
    made = arrivals(now_s, seed, bursts=False) if rate_per_s is None else arrivals(now_s, seed, rate_per_s=rate_per_s)
    return Case("all links, a minute each", SiteFacts(table, link, link, RTT_S, SPREAD), made)


def best_static(case: Case) -> tuple[str, list[Served]]:
    """The plan with the least mean, and what became of the requests under it."""
    plans = [entry.plan for entry in case.facts.table.for_form("bytes")]
    runs = {plan.plan_id: served(case, PlanChooser(f"fixed:{plan.plan_id}")) for plan in plans}
    plan_id = min(runs, key=lambda one: mean_s(runs[one]))
    return plan_kind(case, plan_id), runs[plan_id]


def p99_s(requests: Sequence[Served]) -> float:
    """Of what they took."""
    return percentile([one.took_s for one in requests], 0.99)


def highest_rate(table: PlanTable, policy: str, seed: int) -> float:
    """Requests a second up to which the objective is kept, to 3 %."""

    def kept(rate_per_s: float) -> bool:
        took = [one.took_s for one in served(moving(table, seed, rate_per_s), PlanChooser(policy, seed=seed))]
        return fmean(one <= SLO_S for one in took) >= SLO_SHARE

    low, high = 0.05, 0.1
    while kept(high) and high < 50:
        low, high = high, 2 * high
    if not kept(low):
        return 0.0
    while high / low > 1.03:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if kept(middle) else (low, middle)
    return low


class Goodput(NamedTuple):
    """The highest rate at which the objective is kept, and that of the plan which keeps it longest; None where nobody
    looked."""

    per_s: float
    rival_per_s: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the goal is reached, or not judged."""
        return self.rival_per_s is None or self.per_s >= GOAL_GOODPUT * self.rival_per_s

    @property
    def told(self) -> str:
        """For people."""
        if self.rival_per_s is None:
            return f"up to {self.per_s:.2f} a second; over the best plan's: not judged with --quick"
        times = f"{self.per_s / self.rival_per_s:.2f} times" if self.rival_per_s else "beyond"
        return f"up to {self.per_s:.2f} a second, {times} the best plan's {self.rival_per_s:.2f}, goal {GOAL_GOODPUT}"


def figure(options: Options) -> Figure:
    """The figure."""
    found = cases(options.quick, options.seed)
    table = found[0].facts.table
    lines, tails = list[str](), list[float]()
    value = Interval(0.0, 0.0, 0.0)
    for case in [moving(table, options.seed), *found]:
        ours, (name, rival) = served(case, PlanChooser(seed=options.seed)), best_static(case)
        ratio, tail = blocks_ratio(rival, ours, options.seed), p99_s(ours) / p99_s(rival)
        value = value if lines else ratio
        tails.append(tail)
        lines.append(
            f"{case.name}: {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] times as quick as {name} "
            f"({mean_s(ours) * 1e3:.0f} against {mean_s(rival) * 1e3:.0f} ms), p99 {tail:.3f} of its"
        )
    goodput = Goodput(highest_rate(table, "latency", options.seed))
    if not options.quick:
        fixed = [f"fixed:{entry.plan.plan_id}" for entry in table.for_form("bytes")]
        goodput = goodput._replace(rival_per_s=max(highest_rate(table, policy, options.seed) for policy in fixed))
    holds = value.high >= GOAL and max(tails) <= GOAL_P99 and goodput.holds
    details = {
        "p99 over the rival's": f"{max(tails):.3f} at most, goal {GOAL_P99}",
        f"95 of 100 in {SLO_S:g} s": goodput.told,
        "cases": lines,
    }
    requests = sum(len(case.arrivals) for case in found)
    return Figure(
        "adaptivity", value.value, value.low, value.high, 1.0, requests, GOAL, holds, machine(), options.seed,
        "holds" if holds else "missed", details,
    )  # fmt: skip


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(figure(given), given)
