"""Times, outcomes and the promise kept: of all requests, of each client, request class and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from partitioner.plain_json import STRICT
from simulations.answers.interval import Estimate, Floats, estimate, mean, of_values, quantile
from simulations.answers.shares import share
from simulations.answers.slo import Slo, answered, kept, let_in
from simulations.run_record import OUTCOMES, Outcome, Requests, RunRecord

__all__ = ["QUANTILES", "GroupAnswer", "GroupKind", "group_answers", "groups_of", "members"]

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
_SLICES = 20

GroupKind = Literal["all", "client", "class", "model"]
_COLUMNS: Mapping[GroupKind, str] = {"client": "client", "class": "request_class", "model": "model"}


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """Of the requests that counted. n: how many, in all runs. times_s: what answered ones took, by "mean", "p50",
    "p90", "p99", "p99.9"; none where nothing was answered. kept_of_all, kept_of_admitted: the share that kept the
    promise (see `slo.kept`); of all, one that was refused, dropped or failed did not. outcomes: shares of all.
    answered_per_s: answers between warm-up and end."""

    __pydantic_config__ = STRICT
    kind: GroupKind
    name: str
    n: int
    times_s: Mapping[str, Estimate]
    kept_of_all: Estimate | None
    kept_of_admitted: Estimate | None
    outcomes: Mapping[Outcome, Estimate]
    answered_per_s: Estimate


def groups_of(runs: Sequence[RunRecord]) -> Iterator[tuple[GroupKind, str]]:
    """All requests, then each client, class and model, where there are several."""
    yield "all", ""
    for kind, column in _COLUMNS.items():
        names: set[str] = set()
        for run in runs:
            names |= {run.words[number] for number in np.unique(getattr(run.requests, column))}
        if len(names) > 1:
            yield from ((kind, name) for name in sorted(names))


def members(run: RunRecord, requests: Requests, kind: GroupKind, name: str) -> Requests:
    """Those of the requests that belong to that group."""
    return requests if kind == "all" else requests.where(getattr(requests, _COLUMNS[kind]) == run.id_of(name))


def group_answers(runs: Sequence[RunRecord], slo: Slo | None, confidence: float) -> Iterator[GroupAnswer]:
    """Of every group."""
    for kind, name in groups_of(runs):
        yield _answer(runs, kind, name, slo, confidence)


def _answer(runs: Sequence[RunRecord], kind: GroupKind, name: str, slo: Slo | None, confidence: float) -> GroupAnswer:
    counted = [members(run, run.counted(), kind, name) for run in runs]
    pairs = list(zip(runs, counted, strict=True))
    took_s = [requests.took_s[answered(run, requests)] for run, requests in pairs]
    promised = [kept(run, requests, slo) for run, requests in pairs]
    admitted = [flags[let_in(run, requests)] for flags, (run, requests) in zip(promised, pairs, strict=True)]
    outcomes = {
        outcome: share([requests.outcome == run.id_of(outcome) for run, requests in pairs], confidence)
        for outcome in OUTCOMES
    }
    return GroupAnswer(
        kind,
        name,
        sum(len(requests) for requests in counted),
        dict(_times(took_s, confidence)),
        share(promised, confidence),
        share(admitted, confidence),
        {outcome: found for outcome, found in outcomes.items() if found is not None},
        _throughput(runs, kind, name, confidence),
    )


def _times(took_s: Sequence[Floats], confidence: float) -> Iterator[tuple[str, Estimate]]:
    for name, statistic in (("mean", mean), *((name, quantile(at)) for name, at in QUANTILES.items())):
        found = estimate(took_s, statistic, confidence)
        if found is not None:
            yield name, found.within(0.0, np.inf)


def _throughput(runs: Sequence[RunRecord], kind: GroupKind, name: str, confidence: float) -> Estimate:
    """By when answers came, not by when they were asked for: in overload many of those come after the end."""
    slices = []
    for run in runs:
        requests = members(run, run.requests, kind, name)
        ended_s = (requests.time_s + requests.took_s)[answered(run, requests)]
        edges_s = np.linspace(run.facts.warm_up_s, run.facts.duration_s, _SLICES + 1)
        slices.append(np.histogram(ended_s, edges_s)[0] / np.diff(edges_s))
    if len(runs) == 1:
        return of_values(slices[0].tolist(), confidence, "batches").within(0.0, np.inf)
    return of_values([float(np.mean(one)) for one in slices], confidence).within(0.0, np.inf)
