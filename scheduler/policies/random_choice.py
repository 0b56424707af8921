"""Any plan, drawn by weight: for exploration, and to see what plans do that no other policy would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Annotated

from pydantic import Field

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.forecast import Forecast, forecast
from scheduler.policies.options import PolicyOptions

__all__ = ["RandomOptions", "RandomPolicy"]

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_DRAW_BITS = 53


class RandomOptions(PolicyOptions):
    """seed: another one draws another sequence. weights: by plan id or kind of cut; empty for every plan alike."""

    seed: int = Field(default=0, description="another one draws another sequence")
    weights: Mapping[str, Weight] = Field(default_factory=dict, description="by plan id or kind of cut")


class RandomPolicy:
    """Any plan that is in time, drawn by weight: for exploration.

    A plan weighs what `weights` says of its id, else its share of what it says of its kind (each of n such plans a part
    in n), else nothing. Without weights, and where all that is left weighs nothing, every plan weighs the same.
    """

    Options = RandomOptions

    def __init__(self, options: RandomOptions | None = None) -> None:
        options = options or RandomOptions()
        self._weights = dict(options.weights)
        # Flips bits of what is drawn: as uniform as before, and the policy keeps no generator of its own.
        self._mask = Random(options.seed).getrandbits(_DRAW_BITS) if options.seed else 0

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        found = forecast(request, link)
        among = found.in_time(found.reachable(range(len(found.entries))))
        weights = self._weights_of(found, among)
        return found.choice(_drawn(among, weights, self._drawn_share(rng)), "at random, ")

    def _drawn_share(self, rng: Random) -> float:
        share: float = (rng.getrandbits(_DRAW_BITS) ^ self._mask) / (1 << _DRAW_BITS)
        return share

    def _weights_of(self, found: Forecast, among: Sequence[int]) -> list[float]:
        """Of these plans; all 1 where nothing else is said of them."""
        if not self._weights:
            return [1.0] * len(among)
        plans = [found.entries[number].plan for number in among]
        by_kind = [plan.kind for plan in plans if plan.plan_id not in self._weights]
        weights = [
            self._weights[plan.plan_id]
            if plan.plan_id in self._weights
            else self._weights.get(plan.kind, 0.0) / by_kind.count(plan.kind)
            for plan in plans
        ]
        return weights if any(weights) else [1.0] * len(among)


def _drawn(among: Sequence[int], weights: Sequence[float], share: float) -> int:
    """The one at that share, from 0 to 1, of all weights laid in a row."""
    left = share * sum(weights)
    for number, weight in zip(among, weights, strict=True):
        left -= weight
        if left < 0:
            return number
    return next(number for number, weight in reversed(list(zip(among, weights, strict=True))) if weight)
