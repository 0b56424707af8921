"""Choosing for each request against the best plan that never changes, chosen in hindsight. On a simulated clock.

The cases of `regret`: recorded links, steady and with bursts, and steps with an outage; beside them all recorded links
one after the other, as a device that moves sees them. For each case every plan is held fixed in turn, and the one with
the least mean is the rival. Value: the rival's mean over the chooser's, on the links one after the other; its interval
resamples blocks of 100 requests. Details: the same of each case; the chooser's 99th percentile over the rival's; and
the highest rate of requests at which 95 of 100 are answered in 800 ms, over that of the plan which keeps it longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

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
    rates = {"latency": highest_rate(table, "latency", options.seed)}
    for entry in table.for_form("bytes") if not options.quick else ():
        rates[entry.plan.plan_id] = highest_rate(table, f"fixed:{entry.plan.plan_id}", options.seed)
    best_rate = max((rate for name, rate in rates.items() if name != "latency"), default=0.0)
    holds = value.high >= GOAL and max(tails) <= GOAL_P99
    details = {
        "p99 over the rival's": f"{max(tails):.3f} at most, goal {GOAL_P99}",
        f"95 of 100 in {SLO_S:g} s": f"up to {rates['latency']:.2f} a second"
        + (f", {rates['latency'] / best_rate:.2f} times the best plan's {best_rate:.2f}" if best_rate else ""),
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
