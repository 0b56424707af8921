"""How busy the fleet was, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.plain_json import STRICT
from simulations.answers.interval import Estimate, of_values
from simulations.answers.prices import Prices, bill
from simulations.answers.slo import answered
from simulations.run_record import Resource, ResourceKind, RunRecord

__all__ = ["CostAnswer", "UtilisationAnswer", "cost_answer", "utilisation_answers"]


@dataclass(frozen=True, slots=True)
class UtilisationAnswer:
    """The share of the time that was there in which they worked. n: how many were there, on average over time and
    runs. busiest: the highest share of any one of them in any run."""

    __pydantic_config__ = STRICT
    kind: ResourceKind
    group: str
    n: float
    share: Estimate
    busiest: float


@dataclass(frozen=True, slots=True)
class CostAnswer:
    """In the prices' currency. per_hour_by_part: what for. per_million: answered requests; None where none was."""

    __pydantic_config__ = STRICT
    currency: str
    source: str
    per_hour: Estimate
    per_hour_by_part: Mapping[str, float]
    per_million: Estimate | None


def utilisation_answers(runs: Sequence[RunRecord], confidence: float) -> Iterator[UtilisationAnswer]:
    """Of every group of edges, links and replicas, in their order."""
    groups = dict.fromkeys((one.kind, one.group) for run in runs for one in run.resources if one.present_s > 0.0)
    for kind, group in groups:
        present = [members for run in runs if (members := _of_group(run, kind, group))]
        shares = [sum(one.busy_s for one in members) / sum(one.present_s for one in members) for members in present]
        busiest = max(one.busiest for members in present for one in members)
        counted_s = sum(run.facts.duration_s - run.facts.warm_up_s for run in runs)
        number = sum(one.present_s for members in present for one in members) / counted_s
        yield UtilisationAnswer(kind, group, number, of_values(shares, confidence).within(0.0, 1.0), busiest)


def _of_group(run: RunRecord, kind: str, group: str) -> list[Resource]:
    return [one for one in run.resources if (one.kind, one.group) == (kind, group) and one.present_s > 0.0]


def cost_answer(runs: Sequence[RunRecord], prices: Prices, confidence: float) -> CostAnswer:
    """See `prices.bill`. Raises InvalidConfiguration where a price lacks."""
    hourly, each = list[float](), list[float]()
    by_part: dict[str, float] = {}
    for run in runs:
        hours = (run.facts.duration_s - run.facts.warm_up_s) / 3600.0
        parts = bill(run, prices)
        for part, cost in parts.items():
            by_part[part] = by_part.get(part, 0.0) + cost / hours / len(runs)
        hourly.append(sum(parts.values()) / hours)
        if n := int(np.count_nonzero(answered(run, run.counted()))):
            each.append(sum(parts.values()) / n * 1e6)
    per_million = of_values(each, confidence) if len(each) == len(runs) else None
    return CostAnswer(prices.currency, prices.source, of_values(hourly, confidence), by_part, per_million)
