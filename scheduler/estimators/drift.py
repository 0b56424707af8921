"""How far a plan's measured costs are from what its requests really take: a factor a stage, and seconds besides.

Costs are low quantiles of warm repeats; a served request finds caches cold, a core throttled, another picture. Each
observation gives the logarithm of "took over said" for a stage, and a plan's factor is the exponential of a forgetting
mean of them. A plan that was hardly used leans on the mean of all plans of this device, so that one never tried does
not look quicker than one whose factor is known (Robbins 1956: shrinkage towards the ensemble).

What choosing and hand-overs take is no stage's, and of a stage of a few hundred microseconds the ratio is noise. Both
are learned as seconds, in one forgetting mean a plan. Beside other requests these seconds cannot be told from waits:
there a stage that was said to be short and is clearly not has its ratio learned all the same, of this plan alone. What
the edge would take for the rest of a plan goes by a mean of its own, of the edge's stages that are long enough for a
ratio: a prefix of half a millisecond that waits for the interpreter takes fifty times as long, and the suffix does not.

Every answer moves what all plans lean on, so all factors change with it: they are worked out together, as arrays, from
the sums of each plan.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nodes.chooser import StageTimes

__all__ = ["LEAST_S", "DriftEstimator", "stage_ratio"]

# The last five requests carry about 80 % of the weight.
_KEPT = 0.7
# How many requests of its own outweigh what is known of the other plans, which is forgotten as they come.
_PRIOR_REQUESTS = 0.5
# Of what sums are divided by: a request of its own adds one and takes of the others what it forgets.
_OWN = 1.0 - _PRIOR_REQUESTS * (1.0 - _KEPT)
LEAST_S = 0.002
"""Below it a stage is noise of the scheduler, and its ratio says nothing: its difference counts among the rest."""
# From here on a stage that was said to be shorter than LEAST_S is no noise.
_SURELY_S = 2 * LEAST_S
_LEAST_BYTES = 1024
# One request counts as at most this far off: of a plan, from what was learned of it, so that one whose costs are
# further off is learned too; of the device, from what costs say, as others lean on it.
_LIMIT = 4.0
_MOST_DRIFT = math.log(_LIMIT)
# Of a plan's sums: totals of edge, cloud, uplink bytes, finishing, seconds besides and nothing; then what each is
# divided by.
_TOTALS = 6
_NEVER_SEEN = (*(0.0,) * _TOTALS, *(_PRIOR_REQUESTS,) * (_TOTALS - 1), 1.0)
# The first ones are means of logarithms.
_FACTORS = 4
# Tables come and go with what is ready and reachable: of so many the rows are kept.
_MOST_KEPT = 32

Floats = NDArray[np.float64]


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

    @property
    def divisor(self) -> float:
        """Its weight, and that of what it leans on where little was seen."""
        return _PRIOR_REQUESTS + _OWN * self.weight

    def leaning(self) -> float:
        """The mean, leaning on 0 where little was seen."""
        return self.total / self.divisor


@dataclass(slots=True)
class _Stages:
    """row: where the sums of a plan are kept. finish: of the edge's stages that are long enough for a ratio."""

    row: int = 0
    edge: _Mean = field(default_factory=_Mean)
    finish: _Mean = field(default_factory=_Mean)
    cloud: _Mean = field(default_factory=_Mean)
    uplink_bytes: _Mean = field(default_factory=_Mean)
    besides_s: _Mean = field(default_factory=_Mean)

    def learn_besides(self, seconds: float, most_s: float) -> None:
        """One request took so many seconds besides; it counts as no more than `most_s`."""
        self.besides_s.add(min(max(seconds, 0.0), most_s))

    def sums(self) -> tuple[float, ...]:
        """See _NEVER_SEEN."""
        edge, cloud, size, finish, besides = self.edge, self.cloud, self.uplink_bytes, self.finish, self.besides_s
        return (
            edge.total, cloud.total, size.total, finish.total, besides.total, 0.0,
            edge.divisor, cloud.divisor, size.divisor, finish.divisor, besides.divisor, 1.0,
        )  # fmt: skip


class DriftEstimator:
    """Learns from answered requests. Deterministic, without a clock; what makes no sense is ignored: a part of it comes
    from the peer."""

    def __init__(self) -> None:
        self._plans: dict[str, _Stages] = {}
        self._device = _Stages()
        self._sums: Floats = np.array([_NEVER_SEEN])  # row 0 is that of all plans that were never seen
        self._rows: dict[tuple[str, ...], NDArray[np.intp]] = {}

    def observe(self, times: StageTimes) -> None:
        """One request was answered."""
        entry, batch, device = times.entry, times.batch, self._device
        plan = self._plans.get(entry.plan.plan_id) or self._first_seen(entry.plan.plan_id)
        alone = times.besides_s is not None
        said_s = entry.costs.edge.at(batch)
        rest_s = _learn_stage(times.edge_s, said_s, plan.edge, device.edge, alone)
        _learn(times.edge_s, said_s, LEAST_S, plan.finish)
        if times.cloud_s is not None:
            said_s = entry.costs.cloud.at(batch)
            rest_s += _learn_stage(times.cloud_s, said_s, plan.cloud, device.cloud, alone)
        if times.uplink_bytes is not None:  # content makes the size: one plan's says nothing of another's
            said = entry.uplink_bytes(batch, times.file_bytes)
            _learn(times.uplink_bytes, said, _LEAST_BYTES, plan.uplink_bytes)
        if times.besides_s is not None:
            self._learn_besides(times.besides_s + rest_s, plan)
        self._sums[plan.row] = plan.sums()

    def _first_seen(self, plan_id: str) -> _Stages:
        plan = self._plans[plan_id] = _Stages(len(self._sums))
        self._sums = np.vstack((self._sums, _NEVER_SEEN))
        self._rows.clear()
        return plan

    def _learn_besides(self, seconds: float, plan: _Stages) -> None:
        if not math.isfinite(seconds):
            return
        most_s = max(LEAST_S, _LIMIT * self._device.besides_s.mean())
        plan.learn_besides(seconds, most_s)
        self._device.learn_besides(seconds, most_s)

    def forget_edge(self, plan_ids: Collection[str]) -> None:
        """The edge's stages of these plans have other costs from now on: what was learned was of the old ones. So was
        what plans that were never tried lean on."""
        self._device.edge = _Mean()
        for plan_id in plan_ids:
            plan = self._plans.get(plan_id)
            if plan is not None:
                plan.edge, plan.finish = _Mean(), _Mean()
                self._sums[plan.row] = plan.sums()

    def factors(self, plan_ids: tuple[str, ...]) -> Floats:
        """The corrections of those plans, a row each: factors of edge seconds, cloud seconds, uplink bytes and
        finishing, seconds besides, and 1."""
        sums, device = self._sums.take(self._rows_of(plan_ids), axis=0), self._device
        edge = device.edge.leaning()
        others = (edge, device.cloud.leaning(), 0.0, edge, device.besides_s.mean(), 1.0)
        divisors = sums[:, _TOTALS:]
        # What is left of the weight of the others: all of it where the divisor is that of a plan never seen.
        weights = _PRIOR_REQUESTS - (divisors - _PRIOR_REQUESTS) * ((1.0 - _OWN) / _OWN)
        weights[:, -1] = 1.0
        means: Floats = (sums[:, :_TOTALS] + others * weights) / divisors
        logarithms = means[:, :_FACTORS]
        np.exp(logarithms, out=logarithms)
        return means

    def _rows_of(self, plan_ids: tuple[str, ...]) -> NDArray[np.intp]:
        rows = self._rows.get(plan_ids)
        if rows is None:
            if len(self._rows) >= _MOST_KEPT:
                self._rows.clear()
            seen = [self._plans.get(plan_id) for plan_id in plan_ids]
            rows = self._rows[plan_ids] = np.array([0 if one is None else one.row for one in seen], np.intp)
        return rows


def _learn_stage(took: float, said: float, plan: _Mean, device: _Mean, alone: bool) -> float:
    """Learn a stage's ratio; by how many seconds it differs from its costs where that is too short for one."""
    if said < LEAST_S and (plan.weight or (took >= _SURELY_S and not alone)):
        if 0.0 < took < math.inf and said > 0.0:
            _add(math.log(took / said), plan)  # once it was learned so, what is short again unteaches it
        return 0.0
    _learn(took, said, LEAST_S, plan, device)
    return took - said if min(took, said) < LEAST_S else 0.0


def _learn(took: float, said: float, least: float, plan: _Mean, device: _Mean | None = None) -> None:
    if math.isfinite(took) and took >= least and said >= least:
        drift = math.log(took / said)
        _add(drift, plan)
        if device is not None:
            device.add(min(max(drift, -_MOST_DRIFT), _MOST_DRIFT))


def _add(drift: float, plan: _Mean) -> None:
    known = plan.mean()
    plan.add(min(max(drift, known - _MOST_DRIFT), known + _MOST_DRIFT))


def stage_ratio(took: float, said: float, least: float) -> float | None:
    """What a stage took over what its costs said, as far off as one request may count; either counts as `least` where
    it is less. None where it says nothing: no number, or both less."""
    if not math.isfinite(took) or max(took, said) < least:
        return None
    return min(max(max(took, least) / max(said, least), 1 / _LIMIT), _LIMIT)
