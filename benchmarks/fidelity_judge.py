"""How far a simulation is from the live system: quantiles, throughput, plan mix and stages of the same runs of both.

Every run of one has its counterpart in the other with the same arrivals. Each measure is the median over the runs. Its
error is allowed its goal or the live system's own half spread over its runs, whichever is more. The mix is judged cut
by cut, so that another cut counts as another kind does. Codecs of one cut count as one: where two take the same time to
a hundredth, as raw and zstd of 3 kB do, which of them a policy takes is chance on both sides. Their shares are told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

import numpy as np

from benchmarks.figure import Interval, bootstrap
from simulations.run_record import OUTCOMES, STAGES, RunRecord

__all__ = ["GOALS", "Compared", "Judged", "RunSummary", "compare"]

GOALS: Mapping[str, float] = {"p50": 0.03, "p99": 0.08, "throughput": 0.02, "plan mix": 0.05}
_ANSWERED = ("answered", "resumed")
_ID_DIGITS = 4
_LEAST_TOLD = 0.005


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run's requests after the warm-up. Times in ms, of those that were answered; rates a second. plans: shares, by
    name and the beginning of the id, for plans of one name may differ. stages: means. ended: shares of all requests by
    what became of them. late_p99_ms: of the load generator."""

    requests: int
    p50: float
    p99: float
    throughput: float
    plans: Mapping[str, float]
    stages: Mapping[str, float]
    ended: Mapping[str, float]
    late_p99_ms: float = 0.0

    @classmethod
    def of(cls, record: RunRecord, late_p99_s: float = 0.0) -> Self:
        """Of one record, live or simulated."""
        counted, facts = record.counted(), record.facts
        codes = [OUTCOMES_BY_ID[record.words[one]] for one in counted.outcome]
        answered = counted.where(np.isin(codes, [OUTCOMES.index(one) for one in _ANSWERED]))
        took_ms, n = 1e3 * answered.took_s, max(1, len(answered))
        plans, numbers = np.unique(answered.plan, return_counts=True)
        ended_s = float(np.max(answered.time_s + answered.took_s, initial=facts.duration_s))
        return cls(
            len(counted),
            float(np.quantile(took_ms, 0.5)),
            float(np.quantile(took_ms, 0.99)),
            len(answered) / (ended_s - facts.warm_up_s),
            {_title(record, plan): float(number) / n for plan, number in zip(plans, numbers, strict=True)},
            {stage: float(1e3 * np.mean(getattr(answered, stage))) for stage in STAGES},
            {one: codes.count(place) / max(1, len(counted)) for place, one in enumerate(OUTCOMES)},
            1e3 * late_p99_s,
        )

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """What `asdict` made."""
        return cls(**told)


OUTCOMES_BY_ID = {outcome: place for place, outcome in enumerate(OUTCOMES)}


def _title(record: RunRecord, plan: int) -> str:
    """Of the plan with that number: the same live and simulated."""
    plan_id = record.words[plan]
    return f"{record.facts.plan_titles.get(plan_id, 'not in the profile')} #{plan_id[:_ID_DIGITS]}"


@dataclass(frozen=True, slots=True)
class Judged:
    """One measure. error, allowed, half_spread: relative, or points for the plan mix. of: the plan that it is told of,
    where it is of one."""

    live: float
    simulated: float
    error: float
    half_spread: float
    goal: float
    of: str = ""

    @property
    def allowed(self) -> float:
        """The goal, or what the live system differs from itself."""
        return max(self.goal, self.half_spread)

    @property
    def holds(self) -> bool:
        """Whether the error is allowed."""
        return self.error <= self.allowed


@dataclass(frozen=True, slots=True)
class Compared:
    """A scenario's judgement. p50_error: with its interval over the runs."""

    name: str
    measures: Mapping[str, Judged]
    p50_error: Interval
    live: Sequence[RunSummary]
    simulated: Sequence[RunSummary]

    @property
    def holds(self) -> bool:
        """Whether all measures do."""
        return all(one.holds for one in self.measures.values())

    @property
    def fewest(self) -> int:
        """Requests that count, of the run that has the fewest."""
        return min(run.requests for run in (*self.live, *self.simulated))

    @property
    def row(self) -> str:
        """A line of a table."""
        cells = [f"{self.name:16}"]
        for name, one in self.measures.items():
            of = f" ({one.of})" if one.of else ""
            told = f"{name}{of} {one.live:.4g}/{one.simulated:.4g} {one.error:.3f} of {one.allowed:.3f}"
            cells.append(told if one.holds else f"{told} MISSED")
        return "  ".join(cells)

    @property
    def plans(self) -> str:
        """Share of each plan, live and simulated; those that hardly ran are left out."""
        titles = _plans((*self.live, *self.simulated))
        shares = {plan: [_median_share(runs, plan) for runs in (self.live, self.simulated)] for plan in titles}
        told = [f"{plan} {a:.3f}/{b:.3f}" for plan, (a, b) in shares.items() if max(a, b) >= _LEAST_TOLD]
        return f"{self.name:16}  " + "  ".join(told)

    @property
    def stages(self) -> str:
        """Mean ms by stage, live and simulated: where a difference comes from."""
        told = []
        for stage in STAGES:
            both = [median(one.stages[stage] for one in runs) for runs in (self.live, self.simulated)]
            told.append(f"{stage.removesuffix('_s')} {both[0]:.2f}/{both[1]:.2f}")
        return f"{self.name:16}  " + "  ".join(told)


def compare(name: str, live: Sequence[RunSummary], simulated: Sequence[RunSummary], seed: int) -> Compared:
    """Run by run: both have as many."""
    measures = {
        one: _judged([float(getattr(run, one)) for run in live], [float(getattr(run, one)) for run in simulated], goal)
        for one, goal in GOALS.items()
        if one != "plan mix"
    }
    pairs = [(a.p50, b.p50) for a, b in zip(live, simulated, strict=True)]

    def error(drawn: Sequence[float]) -> float:
        ours, theirs = (median(pairs[int(one)][which] for one in drawn) for which in (1, 0))
        return abs(ours / theirs - 1)

    interval = bootstrap(range(len(pairs)), seed, error)
    return Compared(name, measures | {"plan mix": _mix(live, simulated)}, interval, live, simulated)


def _judged(live: Sequence[float], simulated: Sequence[float], goal: float) -> Judged:
    middle = median(live)
    spread = (max(live) - min(live)) / 2 / middle
    return Judged(middle, median(simulated), abs(median(simulated) / middle - 1), spread, goal)


def _mix(live: Sequence[RunSummary], simulated: Sequence[RunSummary]) -> Judged:
    """Of the cut whose share differs most, beyond what it may."""
    goal = GOALS["plan mix"]
    theirs, ours = ([_by_cut(run.plans) for run in runs] for runs in (live, simulated))
    found = list[Judged]()
    for cut in sorted({cut for run in (*theirs, *ours) for cut in run}):
        there, here = ([run[cut] for run in runs] for runs in (theirs, ours))
        error = abs(median(here) - median(there))
        found.append(Judged(median(there), median(here), error, (max(there) - min(there)) / 2, goal, cut))
    return max(found, key=lambda one: one.error - one.allowed, default=Judged(1.0, 1.0, 0.0, 0.0, goal))


def _by_cut(plans: Mapping[str, float]) -> defaultdict[str, float]:
    """Shares without the codecs that stand behind a cut in a plan's words. A plan that nobody knows is its own."""
    shares: defaultdict[str, float] = defaultdict(float)
    for plan, share in plans.items():
        shares[plan.partition(" (")[0]] += share
    return shares


def _plans(runs: Sequence[RunSummary]) -> Sequence[str]:
    return sorted({plan for run in runs for plan in run.plans})


def _median_share(runs: Sequence[RunSummary], plan: str) -> float:
    return median(run.plans.get(plan, 0.0) for run in runs)
