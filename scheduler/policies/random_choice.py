"""Any plan, drawn by weight: for exploration, and to see what plans do that no other policy would take."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Annotated

from pydantic import Field

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.plan import Plan
from partitioner.plan_table import PlanEntry
from scheduler.policies.forecast import forecast
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

    A plan weighs what `weights` says of its id, else its share of what it says of its kind (each of the form's n such
    plans a part in n), else nothing. Without weights, and where all that is left weighs nothing, every plan
    weighs the same.
    """

    Options = RandomOptions

    def __init__(self, options: RandomOptions | None = None) -> None:
        options = options or RandomOptions()
        self._weights = dict(options.weights)
        self._weighed: tuple[PlanEntry, ...] = ()
        self._by_number: Sequence[float] = ()
        # Flips bits of what is drawn: as uniform as before, and the policy keeps no generator of its own.
        self._mask = Random(options.seed).getrandbits(_DRAW_BITS) if options.seed else 0

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        found = forecast(request, link)
        among = found.in_time(found.reachable(range(len(found.entries))))
        weights = self._weights_of(found.entries) if self._weights else ()
        return found.choice(_drawn(among, weights, self._drawn_share(rng)), "at random, ")

    def _drawn_share(self, rng: Random) -> float:
        share: float = (rng.getrandbits(_DRAW_BITS) ^ self._mask) / (1 << _DRAW_BITS)
        return share

    def _weights_of(self, entries: tuple[PlanEntry, ...]) -> Sequence[float]:
        """By number; worked out again only where the plans on offer have changed."""
        if self._weighed is not entries:
            self._weighed, self._by_number = entries, self._weigh([entry.plan for entry in entries])
        return self._by_number

    def _weigh(self, plans: Sequence[Plan]) -> Sequence[float]:
        alike = Counter(plan.kind for plan in plans if plan.plan_id not in self._weights)
        return [
            self._weights[plan.plan_id]
            if plan.plan_id in self._weights
            else self._weights.get(plan.kind, 0.0) / alike[plan.kind]
            for plan in plans
        ]


def _drawn(among: Sequence[int], weights: Sequence[float], share: float) -> int:
    """The one at that share, from 0 to 1, of their weights laid in a row; all alike where these are nothing."""
    laid = list(accumulate([weights[number] for number in among])) if weights else []
    if not laid or laid[-1] <= 0:
        return among[int(share * len(among))]
    return among[bisect_right(laid, share * laid[-1], hi=len(laid) - 1)]
