"""How far a simulation is from the live system: quantiles, throughput, plan mix and stages of the same runs of both.

Every run of one has its counterpart in the other with the same arrivals. Each measure is the median over the runs. Its
error is allowed its goal or the live system's own half spread over its runs, whichever is more.
"""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run's requests after the warm-up. Times in ms, of those that were answered; rates a second. shares: of plans,
    by kind. stages: means. ended: shares of all requests by what became of them. late_p99_ms: of the load generator."""

    requests: int
    p50: float
    p99: float
    throughput: float
    shares: Mapping[str, float]
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
        kinds, numbers = np.unique(answered.kind, return_counts=True)
        ended_s = float(np.max(answered.time_s + answered.took_s, initial=facts.duration_s))
        return cls(
            len(counted),
            float(np.quantile(took_ms, 0.5)),
            float(np.quantile(took_ms, 0.99)),
            len(answered) / (ended_s - facts.warm_up_s),
            {record.words[kind]: float(number) / n for kind, number in zip(kinds, numbers, strict=True)},
            {stage: float(1e3 * np.mean(getattr(answered, stage))) for stage in STAGES},
            {one: codes.count(place) / max(1, len(counted)) for place, one in enumerate(OUTCOMES)},
            1e3 * late_p99_s,
        )

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """What `asdict` made."""
        return cls(**told)


OUTCOMES_BY_ID = {outcome: place for place, outcome in enumerate(OUTCOMES)}


@dataclass(frozen=True, slots=True)
class Judged:
    """One measure. error, allowed, half_spread: relative, or points for the plan mix."""

    live: float
    simulated: float
    error: float
    half_spread: float
    goal: float

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
    def row(self) -> str:
        """A line of a table."""
        cells = [f"{self.name:16}"]
        for name, one in self.measures.items():
            unit = "" if name == "plan mix" else f"{one.live:.4g}/{one.simulated:.4g} "
            cells.append(f"{name} {unit}{one.error:.3f} of {one.allowed:.3f}{'' if one.holds else ' MISSED'}")
        return "  ".join(cells)

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
    """Of the kind whose share differs most."""
    kinds = sorted({kind for run in (*live, *simulated) for kind in run.shares})
    found = [Judged(1.0, 1.0, 0.0, 0.0, GOALS["plan mix"])]
    for kind in kinds:
        ours, theirs = ([run.shares.get(kind, 0.0) for run in runs] for runs in (simulated, live))
        half = (max(theirs) - min(theirs)) / 2
        found.append(Judged(median(theirs), median(ours), abs(median(ours) - median(theirs)), half, GOALS["plan mix"]))
    return max(found, key=lambda one: one.error - one.allowed)
