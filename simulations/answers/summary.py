"""All answers of a scenario, from the records of its runs: data that goes to JSON, to tables and to a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.errors import InvalidInput
from partitioner.plain_json import STRICT, read_json, write_json
from simulations.answers.breakdown import (
    DropAnswer,
    PlanAnswer,
    StageAnswer,
    drop_answers,
    plan_answers,
    stage_answers,
)
from simulations.answers.distribution import Distribution, distributions
from simulations.answers.energy import EnergyAnswer, energy_answers
from simulations.answers.fleet import CostAnswer, UtilisationAnswer, cost_answer, utilisation_answers
from simulations.answers.groups import GroupAnswer, group_answers
from simulations.answers.interval import CONFIDENCE, of_values
from simulations.answers.over_time import OverTime, over_time
from simulations.answers.prices import Prices
from simulations.answers.slo import Slo, answered
from simulations.run_record import RunFacts, RunRecord

__all__ = ["Summary", "summary"]

_DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Summary:
    """method: how intervals were made, in words. notes: what a reader must know before any number. slo: None where
    nothing was promised; requests then keep their own deadlines. groups: all requests first. energy: of each group of
    edges, then of the replicas. cost: None without prices."""

    __pydantic_config__ = STRICT
    scenario: str
    seeds: tuple[int, ...]
    duration_s: float
    warm_up_s: float
    confidence: float
    method: str
    notes: tuple[str, ...]
    slo: Slo | None
    groups: tuple[GroupAnswer, ...]
    drops: tuple[DropAnswer, ...]
    plans: tuple[PlanAnswer, ...]
    stages: tuple[StageAnswer, ...]
    utilisation: tuple[UtilisationAnswer, ...]
    energy: tuple[EnergyAnswer, ...]
    cost: CostAnswer | None
    distributions: tuple[Distribution, ...]
    over_time: OverTime

    @property
    def all(self) -> GroupAnswer:
        """Of all requests."""
        return self.groups[0]

    def to_json(self) -> str:
        """`from_json` reads it back equal. There is no NaN and no infinity in it."""
        return write_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Summary:
        """Raises InvalidInput naming the key at fault."""
        return read_json(cls, text, InvalidInput, "summary")


def summary(
    runs: Sequence[RunRecord],
    slo: Slo | None = None,
    prices: Prices | None = None,
    confidence: float = CONFIDENCE,
) -> Summary:
    """Of the replications of one scenario, one at least. Raises InvalidInput where they are not of one scenario, and
    InvalidConfiguration where a price lacks."""
    facts = _facts(runs)
    plans = tuple(plan_answers(runs, confidence))
    return Summary(
        scenario=facts.scenario,
        seeds=tuple(run.facts.seed for run in runs),
        duration_s=facts.duration_s,
        warm_up_s=facts.warm_up_s,
        confidence=confidence,
        method=_method(len(runs), facts.warm_up_s, confidence),
        notes=tuple(dict.fromkeys([*(note for run in runs for note in run.facts.notes), *_doubts(runs, confidence)])),
        slo=slo,
        groups=tuple(group_answers(runs, slo, confidence)),
        drops=tuple(drop_answers(runs, confidence)),
        plans=plans,
        stages=tuple(stage_answers(runs, confidence)),
        utilisation=tuple(utilisation_answers(runs, confidence)),
        energy=tuple(energy_answers(runs, confidence)),
        cost=None if prices is None else cost_answer(runs, prices, confidence),
        distributions=tuple(distributions(runs)),
        over_time=over_time(runs, [one.plan for one in plans]),
    )


def _facts(runs: Sequence[RunRecord]) -> RunFacts:
    if not runs:
        raise InvalidInput("runs", "are none", remedy="give the record of one run at least")
    first = runs[0].facts
    for run in runs[1:]:
        mine = (run.facts.scenario, run.facts.duration_s, run.facts.warm_up_s)
        if mine != (first.scenario, first.duration_s, first.warm_up_s):
            raise InvalidInput("runs", "are not of one scenario", value=mine, remedy=f"keep to {first.scenario}")
    return first


def _method(runs: int, warm_up_s: float, confidence: float) -> str:
    cut = f"The first {warm_up_s:g} s of each run are left out. " if warm_up_s else "Nothing is left out. "
    if runs > 1:
        how = f"{runs} independent runs, Student's t over their values; a quantile's value is each run's own"
    else:
        how = "one run, cut into up to 20 batches, Student's t over their values"
    return (
        f"{cut}{confidence:.0%} intervals: {how}. Shares that are 0 or 1 in every run: Clopper and Pearson's. No "
        "interval where a run or batch holds too little for one."
    )


def _doubts(runs: Sequence[RunRecord], confidence: float) -> Iterator[str]:
    """Whether the counted time may not be a steady state."""
    drifts = []
    for run in runs:
        counted = run.counted()
        took_s = counted.took_s[answered(run, counted)]
        if took_s.size < 20:
            return
        first, second = (float(np.mean(half)) for half in np.array_split(took_s, 2))
        drifts.append(second / first - 1.0 if first > 0.0 else 0.0)
    found = of_values(drifts, confidence)
    if found.value > _DRIFT and (found.low is None or found.low > 0.0):
        yield (
            f"Requests of the second half took {found.value:.0%} longer than those of the first: overloaded, or load "
            "that changes. The numbers are of this length of time, not of a steady state."
        )
    if found.value < -_DRIFT and (found.high is None or found.high < 0.0):
        yield f"Requests of the second half took {-found.value:.0%} less than those of the first: a longer warm-up?"
