"""How far a plan's measured costs are from what its requests really take: a factor a stage, and seconds besides.

Costs are low quantiles of warm repeats; a served request finds caches cold, a core throttled, another picture. Each
observation gives the logarithm of "took over said" for a stage, and a plan's factor is the exponential of a forgetting
mean of them. A plan that was hardly used leans on the mean of all plans of this device, so that one never tried does
not look quicker than one whose factor is known (Robbins 1956: shrinkage towards the ensemble).

What choosing and hand-overs take is no stage's, and of a stage of a few hundred microseconds the ratio is noise. Both
are learned as seconds, in one forgetting mean a plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nodes.chooser import StageTimes
from partitioner.plan_table import Correction

__all__ = ["DriftEstimator"]

# The last five requests carry about 80 % of the weight.
_KEPT = 0.7
# How many requests of its own outweigh what is known of the other plans.
_PRIOR_REQUESTS = 0.5
# Below these a stage is noise of the scheduler, and its ratio says nothing: its difference counts among the rest.
_LEAST_S = 0.002
_LEAST_BYTES = 1024
# One request counts as at most this far off.
_LIMIT = 4.0


@dataclass(slots=True)
class _Mean:
    """A forgetting mean, and the weight of what it has seen (up to 1 / (1 - _KEPT))."""

    total: float = 0.0
    weight: float = 0.0

    def add(self, value: float) -> None:
        self.total = self.total * _KEPT + value
        self.weight = self.weight * _KEPT + 1.0

    def mean(self) -> float:
        """Of what was seen alone; 0 where nothing was."""
        return self.total / self.weight if self.weight else 0.0

    def with_prior(self, prior: float) -> float:
        """The mean, leaning on `prior` where little was seen."""
        return (self.total + prior * _PRIOR_REQUESTS) / (self.weight + _PRIOR_REQUESTS)


@dataclass(slots=True)
class _Stages:
    edge: _Mean = field(default_factory=_Mean)
    cloud: _Mean = field(default_factory=_Mean)
    uplink_bytes: _Mean = field(default_factory=_Mean)
    besides_s: _Mean = field(default_factory=_Mean)

    def learn_besides(self, seconds: float, most_s: float) -> None:
        """One request took so many seconds besides; it counts as no more than `most_s`."""
        self.besides_s.add(min(max(seconds, 0.0), most_s))


class DriftEstimator:
    """Learns from answered requests. Deterministic, without a clock; what makes no sense is ignored: a part of it comes
    from the peer."""

    def __init__(self) -> None:
        self._plans: dict[str, _Stages] = {}
        self._device = _Stages()
        self._unseen = _Stages()

    def observe(self, times: StageTimes) -> None:
        """One request was answered."""
        entry, batch = times.entry, times.batch
        plan = self._plans.setdefault(entry.plan.plan_id, _Stages())
        _learn(times.edge_s, entry.costs.edge.at(batch), _LEAST_S, (plan.edge, self._device.edge))
        if times.cloud_s is not None:
            _learn(times.cloud_s, entry.costs.cloud.at(batch), _LEAST_S, (plan.cloud, self._device.cloud))
        if times.uplink_bytes is not None:  # content makes the size: one plan's says nothing of another's
            said = entry.uplink_bytes(batch, times.file_bytes)
            _learn(times.uplink_bytes, said, _LEAST_BYTES, (plan.uplink_bytes,))
        if times.besides_s is not None:
            self._learn_besides(times.besides_s + _of_short_stages(times), plan)

    def _learn_besides(self, seconds: float, plan: _Stages) -> None:
        if not math.isfinite(seconds):
            return
        most_s = max(_LEAST_S, _LIMIT * self._device.besides_s.mean())
        plan.learn_besides(seconds, most_s)
        self._device.learn_besides(seconds, most_s)

    def corrections(self, plan_ids: tuple[str, ...]) -> Mapping[str, Correction]:
        """The factors of those plans."""
        device = self._device
        priors = (device.edge.with_prior(0.0), device.cloud.with_prior(0.0), device.besides_s.mean())
        return {plan_id: _correction(self._plans.get(plan_id, self._unseen), *priors) for plan_id in plan_ids}


def _correction(plan: _Stages, edge: float, cloud: float, besides_s: float) -> Correction:
    """Of a plan, leaning on what is known of the device."""
    return Correction(
        math.exp(plan.edge.with_prior(edge)),
        math.exp(plan.cloud.with_prior(cloud)),
        math.exp(plan.uplink_bytes.with_prior(0.0)),
        plan.besides_s.with_prior(besides_s),
    )


def _of_short_stages(times: StageTimes) -> float:
    """By how many seconds the stages that are too short for a ratio differ from their costs."""
    costs = times.entry.costs
    stages = [(times.edge_s, costs.edge.at(times.batch))]
    if times.cloud_s is not None:
        stages.append((times.cloud_s, costs.cloud.at(times.batch)))
    return sum(took - said for took, said in stages if min(took, said) < _LEAST_S)


def _learn(took: float, said: float, least: float, means: tuple[_Mean, ...]) -> None:
    if not (math.isfinite(took) and took >= least and said >= least):
        return
    ratio = min(max(took / said, 1 / _LIMIT), _LIMIT)
    for mean in means:
        mean.add(math.log(ratio))
