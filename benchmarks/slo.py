"""Does what is let in end in time, is enough let in, and does overload keep its goodput? On a simulated clock.

One edge on recorded mobile links (benchmarks/traces/norway3g), the live chooser (policy `latency`) and the live
admission, asked for a probability of 99.9 %; every request has 1.2 s, three times what the edge alone takes. Nothing
is computed or slept: plans' costs are those of `regret`, each request differs from them by a log-normal 5 %. Each
link's peak is the highest goodput (answers in time a second) over rates of Poisson arrivals. Value: the share of the
requests let in that end in time at 70 % of the peak; its interval is Wilson's. Details: how many are let in, over
those of an oracle that knows the recording, every draw and every queue, and takes the request whenever some plan will
end in time, by the better of two rules for which; how many end in time of those that the edge promised to finish and
of those that were only predicted to, by kind of plan; the goodput at twice the peak over the peak; and what a client
gets that asks for a tenth of the peak, beside one that asks for twice of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from benchmarks.regret import HERE, RTT_S, SPREAD, arrivals, plan_table
from isthmus.errors import DeadlineUnreachable
from nodes.admission import EdgeWork, Outlook
from nodes.chooser import Choice, ChoiceRequest
from partitioner.plan import Prediction
from partitioner.plan_table import PlanEntry
from scheduler.admission.control import AdmissionControl
from scheduler.plan_chooser import PlanChooser
from simulations.bandwidth_trace import BandwidthTrace
from simulations.kernel import Simulation
from simulations.site import Arrival, Served, Site, SiteFacts
from simulations.trace_files.reading import read_link_trace

GOAL, GOAL_ADMITTED, GOAL_OVERLOAD = 0.999, 0.95, 0.95
TIMEOUT_S, LOAD, OVERLOAD, MODEST = 1.2, 0.7, 2.0, 0.1
# As a live edge's by default.
QUEUE, DEPTH = 128, 16
TABLE = plan_table()
RATES = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)


class _NoPromises(AdmissionControl):
    """The oracle needs no insurance."""

    def outlook(self, number: int, due_s: float | None, now_s: float, *, idle: bool) -> Outlook:
        return Outlook(None, 0.5)

    def finishes(self, number: int, work: EdgeWork, now_s: float) -> bool:
        return True


class Oracle(PlanChooser):
    """Knows what no chooser can: when each plan would answer, of the request that comes."""

    def __init__(self, rule: Callable[[PlanEntry, float], float]) -> None:
        """rule: of a plan and when it will have answered; the least of those in time is taken."""
        super().__init__(explore_share=0.0)
        self._rule = rule
        self.ask: Callable[[], list[tuple[PlanEntry, float]]] | None = None

    def choose(self, request: ChoiceRequest) -> Choice:
        assert self.ask is not None
        able = [(entry, took_s) for entry, took_s in self.ask() if took_s <= TIMEOUT_S]
        if not able:
            raise DeadlineUnreachable("no plan will end in time")
        best, took_s = min(able, key=lambda one: self._rule(*one))
        # All of it the edge's: what is known holds where its prefix goes by the request's own due time.
        return Choice(best, Prediction.of(took_s, 0.0, 0.0, 0.0, 0.0), "it is known")


RULES: tuple[Callable[[PlanEntry, float], float], ...] = (
    lambda entry, seconds: seconds,
    lambda entry, seconds: entry.costs.edge.at(1) if entry.edge_works else 0.0,
)


def run(trace: BandwidthTrace, coming: Sequence[Arrival], chooser: PlanChooser) -> list[Served]:
    """What became of the requests."""
    simulation, facts = Simulation(), SiteFacts(TABLE, trace, trace, RTT_S, SPREAD)
    if not isinstance(chooser, Oracle):
        site = Site(facts, chooser, simulation, admission=AdmissionControl(QUEUE, DEPTH, GOAL))
    else:
        site, ahead = Site(facts, chooser, simulation, admission=_NoPromises(1 << 30, 1 << 30)), iter(coming)

        def ask() -> list[tuple[PlanEntry, float]]:
            arrival, now_s = next(ahead), simulation.now_s  # the site asks once for each, in order
            return [(entry, site.finish_s(entry, arrival, now_s) - now_s) for entry in TABLE.for_form("bytes")]

        chooser.ask = ask
    site.expect(list(coming))
    simulation.run()
    return site.served


@dataclass(frozen=True, slots=True)
class Beside:
    """What a modest client gets beside a greedy one: the shares of their requests that end in time, and the answers in
    time of both a second."""

    modest: float
    greedy: float
    per_s: float


@dataclass(frozen=True, slots=True)
class LinkOutcome:
    """What one link says. admitted, in_time: of the requests at 70 % of its peak; oracle: let in by the better rule.
    known: of those let in, by `said`; kept: of these, in time."""

    name: str
    peak_per_s: float
    requests: int
    admitted: int
    in_time: int
    oracle: int
    overload_per_s: float
    beside: Beside
    told: str
    known: Counter[str]
    kept: Counter[str]


def said(one: Served) -> str:
    """What a request was let in by, and its plan."""
    return f"{'promised' if one.promised else 'predicted'}, {one.kind}"


def _coming(rate_per_s: float, until_s: float, seed: int) -> tuple[Arrival, ...]:
    return tuple(replace(one, timeout_s=TIMEOUT_S) for one in arrivals(until_s, seed, rate_per_s=rate_per_s))


def goodput_per_s(trace: BandwidthTrace, rate_per_s: float, until_s: float, seed: int) -> float:
    """Answers in time a second, at that rate."""
    served = run(trace, _coming(rate_per_s, until_s, seed), PlanChooser(seed=seed))
    return sum(one.in_time for one in served) / until_s


def beside(trace: BandwidthTrace, peak_per_s: float, until_s: float, seed: int) -> Beside:
    """Two clients of one edge."""
    loads = {"greedy": OVERLOAD, "modest": MODEST}
    coming = [
        replace(one, client=client)
        for number, (client, load) in enumerate(loads.items())
        for one in _coming(load * peak_per_s, until_s, seed + number)
    ]
    served = run(trace, sorted(coming, key=lambda one: one.time_s), PlanChooser(seed=seed))
    of = {client: [one.in_time for one in served if one.arrival.client == client] for client in loads}
    shares = {client: sum(ended) / len(ended) for client, ended in of.items()}
    return Beside(**shares, per_s=sum(one.in_time for one in served) / until_s)


def outcome(name: str, trace: BandwidthTrace, sweep_s: float, length_s: float, seed: int) -> LinkOutcome:
    """The peak, the share at 70 % of it, and twice of it."""
    rates = {rate: goodput_per_s(trace, rate, sweep_s, seed) for rate in RATES}
    peak_per_s = max(rates.values())
    coming = _coming(LOAD * peak_per_s, length_s, seed + 1)
    ours = run(trace, coming, PlanChooser(seed=seed))
    admitted = [one for one in ours if not one.refused]
    known = [sum(not one.refused for one in run(trace, coming, Oracle(rule))) for rule in RULES]
    overload_per_s = goodput_per_s(trace, OVERLOAD * peak_per_s, sweep_s, seed + 2)
    both = beside(trace, peak_per_s, sweep_s, seed + 3)
    in_time = sum(one.in_time for one in admitted)
    told = (
        f"{name}: peak {peak_per_s:.2f} a second; at 70 % of it {in_time / len(admitted):.5f} of {len(admitted)} in "
        f"time, {len(admitted) / len(coming):.4f} of {len(coming)} let in, {len(admitted) / max(known):.4f} of the "
        f"oracle's {max(known)}; {sum(one.resumed for one in ours)} finished by the edge instead of the cloud; at "
        f"twice the peak {overload_per_s:.2f} a second, {overload_per_s / peak_per_s:.3f} of it; with a client that "
        f"asks for a tenth of it beside {both.per_s:.2f} a second: {both.modest:.3f} of that one's in time, "
        f"{both.greedy:.3f} of the other's"
    )
    return LinkOutcome(
        name, peak_per_s, len(coming), len(admitted), in_time, max(known), overload_per_s, both, told,
        Counter(said(one) for one in admitted), Counter(said(one) for one in admitted if one.in_time),
    )  # fmt: skip


def wilson(successes: int, n: int, z: float = 1.96) -> Interval:
    """A share and its interval (Wilson 1927)."""
    share, spread = successes / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return Interval(share, middle - half, middle + half)


def figure(options: Options) -> Figure:
    """The figure over all links."""
    paths = sorted((HERE / "traces" / "norway3g").glob("norway_*"))[:: 3 if options.quick else 1]
    sweep_s, length_s = (300.0, 1000.0) if options.quick else (1200.0, 2900.0)
    found = [outcome(path.name, read_link_trace(path).uplink, sweep_s, length_s, options.seed) for path in paths]
    n, admitted = sum(one.requests for one in found), sum(one.admitted for one in found)
    value = wilson(sum(one.in_time for one in found), admitted)
    of_oracle = admitted / sum(one.oracle for one in found)
    overload = sum(one.overload_per_s for one in found) / sum(one.peak_per_s for one in found)
    known = sum((one.known for one in found), Counter[str]())
    kept = sum((one.kept for one in found), Counter[str]())
    holds = value.high >= GOAL and of_oracle >= GOAL_ADMITTED and overload >= GOAL_OVERLOAD
    details = {
        "let in, over the oracle's": f"{of_oracle:.4f} of {GOAL_ADMITTED}",
        "in time, by what they were let in by": ", ".join(
            f"{name} {kept[name] / count:.4f} of {count}" for name, count in sorted(known.items())
        ),
        "goodput at twice the peak, over the peak": f"{overload:.4f} of {GOAL_OVERLOAD}",
        "in time of a client's that asks for a tenth of the peak beside one that asks for twice of it": (
            f"{sum(one.beside.modest for one in found) / len(found):.3f}, of the other's "
            f"{sum(one.beside.greedy for one in found) / len(found):.3f}"
        ),
        "links": [one.told for one in found],
        "what ran": "simulated: the live chooser and admission, on measured costs; nothing is computed or slept",
    }
    return Figure(
        "slo", value.value, value.low, value.high, 1.0, n, GOAL, holds, machine(), options.seed,
        "holds" if holds else "missed", details,
    )  # fmt: skip


if __name__ == "__main__":
    given = parse_options(__doc__ or "")
    report(figure(given), given)
