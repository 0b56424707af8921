"""What energy the edges took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.plain_json import STRICT
from simulations.answers.interval import Estimate, of_values
from simulations.answers.slo import answered
from simulations.run_record import Resource, RunRecord

__all__ = ["EnergyAnswer", "energy_answers", "without_power"]


@dataclass(frozen=True, slots=True)
class EnergyAnswer:
    """Of a group of edges in the counted time, whether or not they had anything to do. watts: of one of them, on
    average; None where the scenario does not say what they take. per_answer_j: what all of them took, over the requests
    that they answered; None where a run answered none."""

    __pydantic_config__ = STRICT
    group: str
    watts: Estimate | None
    per_answer_j: Estimate | None


def energy_answers(runs: Sequence[RunRecord], confidence: float) -> Iterator[EnergyAnswer]:
    """Of every group of edges, in their order."""
    for group in dict.fromkeys(one.group for run in runs for one in run.resources if one.kind == "edge"):
        yield _answer(runs, group, confidence)


def without_power(answers: Sequence[EnergyAnswer]) -> str:
    """Which groups are missing where others are told of, in words; "" where none is."""
    missing = [one.group for one in answers if one.watts is None]
    if len(missing) in (0, len(answers)):
        return ""
    return f"The energy of {', '.join(missing)} is not known: no power is set for such edges."


def _answer(runs: Sequence[RunRecord], group: str, confidence: float) -> EnergyAnswer:
    watts, each_j = list[float](), list[float]()
    for run in runs:
        edges = [one for one in run.resources if (one.kind, one.group) == ("edge", group)]
        joules = _joules(edges)
        if joules is None:
            return EnergyAnswer(group, None, None)
        watts.append(joules / math.fsum(one.present_s for one in edges))
        if n := _answers(run, group):
            each_j.append(joules / n)
    per_answer_j = of_values(each_j, confidence) if len(each_j) == len(runs) else None
    return EnergyAnswer(group, of_values(watts, confidence), per_answer_j)


def _joules(edges: Sequence[Resource]) -> float | None:
    known = [one.energy_j for one in edges if one.energy_j is not None]
    return math.fsum(known) if known and len(known) == len(edges) else None


def _answers(run: RunRecord, group: str) -> int:
    counted = run.counted()
    return int(np.count_nonzero(answered(run, counted) & (counted.group == run.id_of(group))))
