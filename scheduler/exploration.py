"""Now and then a request goes through the cloud only to learn the link.

Without this, a link that was slow once stays slow in the edge's belief: while edge-only looks best nothing crosses, so
nothing is learned. A share of the requests then takes the best plan that needs the cloud, where that is predicted to
cost little more.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from nodes.chooser import Choice, ChoiceRequest
from scheduler.estimators.link import LinkEstimate
from scheduler.policies.forecast import forecast
from scheduler.policies.reason import plan_name

__all__ = ["DEFAULT_SHARE", "Exploration"]

DEFAULT_SHARE = 0.05
# The uplink is known well enough for this long after a transfer.
_FRESH_S = 10.0
# The most that a request may lose by it, as a factor of the best prediction.
_MOST_REGRET = 2.0


@dataclass(frozen=True, slots=True)
class Exploration:
    """share: the part of the requests that explore while they would stay on the edge and the uplink is stale."""

    share: float = DEFAULT_SHARE

    def instead_of(self, choice: Choice, request: ChoiceRequest, estimate: LinkEstimate, rng: Random) -> Choice | None:
        """The plan to learn by, None to keep the choice. `rng` is drawn from only where exploring is possible."""
        if choice.entry.plan.kind != "edge-only" or not request.cloud_reachable or not _stale(estimate):
            return None
        if rng.random() >= self.share:
            return None
        return _cheapest_probe(choice, request, estimate)


def _stale(estimate: LinkEstimate) -> bool:
    # An echo must have come back: until then the cloud has not been seen to answer at all.
    if estimate.rtt_s is None:
        return False
    return estimate.uplink is None or estimate.uplink.age_s > _FRESH_S


def _cheapest_probe(choice: Choice, request: ChoiceRequest, estimate: LinkEstimate) -> Choice | None:
    found = forecast(request, estimate.link)
    crossing = [number for number in range(len(found.entries)) if found.amounts.crossing[number]]
    if not crossing:
        return None
    probe = min(crossing, key=found.total_s.__getitem__)
    limit_s = choice.predicted.total_s * _MOST_REGRET
    if request.remaining_s is not None:
        limit_s = min(limit_s, request.remaining_s)
    if found.total_s[probe] > limit_s or not found.ends_in_time(probe):
        return None
    entry = found.entries[probe]
    why = f"{plan_name(entry.plan)}: to learn the link, not measured lately"
    return Choice(entry, found.predicted(probe), why, request.policy, found.amounts.finish_s[probe])
