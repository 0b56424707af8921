"""What energy the edges and the replicas took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from partitioner.plain_json import STRICT
from simulations.answers.interval import Estimate, of_values
from simulations.answers.slo import answered
from simulations.run_record import Resource, RunRecord

__all__ = ["EnergyAnswer", "EnergyKind", "energy_answers", "without_power"]

EnergyKind = Literal["edge", "replica"]
"""What draws power; a link's is its edges' radio."""


@dataclass(frozen=True, slots=True)
class EnergyAnswer:
    """Of a group of edges, or of the replicas, in the counted time, whether or not they had anything to do. watts: of
    one of them while it was there, on average; None where the scenario does not say what they take. per_answer_j: what
    all of them took, over the answered requests that were the edges', or that a replica answered; None where a run has
    none of these."""

    __pydantic_config__ = STRICT
    kind: EnergyKind
    group: str
    watts: Estimate | None
    per_answer_j: Estimate | None

    @property
    def title(self) -> str:
        """For tables: "edge shop", "replica cloud"."""
        return f"{self.kind} {self.group}"


def energy_answers(runs: Sequence[RunRecord], confidence: float) -> Iterator[EnergyAnswer]:
    """Of every group of edges, in their order, then of the replicas."""
    for kind in get_args(EnergyKind):
        for group in dict.fromkeys(one.group for run in runs for one in run.resources if one.kind == kind):
            yield _answer(runs, kind, group, confidence)


def without_power(answers: Sequence[EnergyAnswer]) -> str:
    """What is missing where others are told of, in words; "" where nothing is."""
    missing = [one.title for one in answers if one.watts is None]
    if len(missing) in (0, len(answers)):
        return ""
    return f"The energy of {', '.join(missing)} is not known: no power is set for them."


def _answer(runs: Sequence[RunRecord], kind: EnergyKind, group: str, confidence: float) -> EnergyAnswer:
    watts, each_j = list[float](), list[float]()
    for run in runs:
        members = [one for one in run.resources if (one.kind, one.group) == (kind, group)]
        if not members:  # a cloud that scales to zero may have had no replica in one run
            continue
        joules = _joules(members)
        if joules is None:
            return EnergyAnswer(kind, group, None, None)
        watts.append(joules / math.fsum(one.present_s for one in members))
        if n := _answers(run, kind, group):
            each_j.append(joules / n)
    per_answer_j = of_values(each_j, confidence) if len(each_j) == len(runs) else None
    return EnergyAnswer(kind, group, of_values(watts, confidence), per_answer_j)


def _joules(members: Sequence[Resource]) -> float | None:
    known = [one.energy_j for one in members if one.energy_j is not None]
    return math.fsum(known) if len(known) == len(members) else None


def _answers(run: RunRecord, kind: EnergyKind, group: str) -> int:
    """How many requests: those of the group of edges, or those that a replica has answered."""
    counted = run.counted()
    theirs = counted.group == run.id_of(group) if kind == "edge" else counted.replica != run.id_of("")
    return int(np.count_nonzero(answered(run, counted) & theirs))
