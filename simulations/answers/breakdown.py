"""Why requests got no answer, which plans ran, and where the time of the answered ones went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.plain_json import STRICT
from simulations.answers.interval import Estimate, Floats, estimate, mean
from simulations.answers.shares import share
from simulations.answers.slo import answered
from simulations.run_record import STAGES, WITHOUT_ANSWER, Outcome, RunRecord

__all__ = ["DropAnswer", "PlanAnswer", "StageAnswer", "drop_answers", "plan_answers", "stage_answers"]

_SLOWEST = 0.99


@dataclass(frozen=True, slots=True)
class DropAnswer:
    """Requests without an answer, for one reason. n: in all runs. share: of all requests."""

    __pydantic_config__ = STRICT
    outcome: Outcome
    reason: str
    n: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """A plan that ran. share: of the requests that a plan was chosen for. mean_s: of the answered ones; None without
    any."""

    __pydantic_config__ = STRICT
    plan: str
    title: str
    kind: str
    model: str
    share: Estimate
    mean_s: Estimate | None


@dataclass(frozen=True, slots=True)
class StageAnswer:
    """Seconds of an answered request in a stage: the mean of all, and of the slowest hundredth."""

    __pydantic_config__ = STRICT
    stage: str
    mean_s: Estimate
    slowest_s: Estimate


def drop_answers(runs: Sequence[RunRecord], confidence: float) -> Iterator[DropAnswer]:
    """The most frequent reason first."""
    pairs = [(run, run.counted()) for run in runs]
    found = []
    for outcome in WITHOUT_ANSWER:
        without = [requests.reason[requests.outcome == run.id_of(outcome)] for run, requests in pairs]
        reasons = {
            run.words[reason] for (run, _), some in zip(pairs, without, strict=True) for reason in np.unique(some)
        }
        for reason in reasons:
            flags = [
                (requests.outcome == run.id_of(outcome)) & (requests.reason == run.id_of(reason))
                for run, requests in pairs
            ]
            if said := share(flags, confidence):
                found.append(DropAnswer(outcome, reason, sum(int(np.count_nonzero(one)) for one in flags), said))
    yield from sorted(found, key=lambda one: (-one.n, one.outcome, one.reason))


def plan_answers(runs: Sequence[RunRecord], confidence: float) -> Iterator[PlanAnswer]:
    """The plan that ran most first."""
    chosen = [counted.where(counted.plan != run.id_of("")) for run in runs for counted in [run.counted()]]
    pairs = list(zip(runs, chosen, strict=True))
    kinds: dict[str, tuple[str, str]] = {}
    for run, requests in pairs:
        plans, first = np.unique(requests.plan, return_index=True)
        for plan, place in zip(plans, first, strict=True):
            kinds.setdefault(run.words[plan], (run.words[requests.kind[place]], run.words[requests.model[place]]))
    made = []
    for plan, (kind, model) in kinds.items():
        used = share([requests.plan == run.id_of(plan) for run, requests in pairs], confidence)
        took_s = [
            requests.took_s[(requests.plan == run.id_of(plan)) & answered(run, requests)] for run, requests in pairs
        ]
        if used is not None:
            title = next((run.facts.plan_titles[plan] for run in runs if plan in run.facts.plan_titles), kind or plan)
            made.append(PlanAnswer(plan, title, kind, model, used, estimate(took_s, mean, confidence)))
    yield from sorted(made, key=lambda one: (-one.share.value, one.plan))


def stage_answers(runs: Sequence[RunRecord], confidence: float) -> Iterator[StageAnswer]:
    """In the order of the stages; none where nothing was answered."""
    done = [counted.where(answered(run, counted)) for run in runs for counted in [run.counted()]]
    slowest = [requests.where(_slowest(requests.took_s)) for requests in done]
    for stage in STAGES:
        all_s, tail_s = (
            estimate([_without_residue(getattr(requests, stage)) for requests in some], mean, confidence)
            for some in (done, slowest)
        )
        if all_s is not None and tail_s is not None:
            yield StageAnswer(stage, all_s.within(0.0, np.inf), tail_s.within(0.0, np.inf))


def _without_residue(seconds: Floats) -> Floats:
    """A stage is a difference of moments: what is left of a wait that was none is no wait."""
    return np.asarray(np.where(np.abs(seconds) < 1e-9, 0.0, seconds))


def _slowest(took_s: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    if not took_s.size:
        return np.zeros(0, np.bool_)
    return np.asarray(took_s >= np.quantile(took_s, _SLOWEST, method="inverted_cdf"))
