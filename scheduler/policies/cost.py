"""The least money: the cloud's seconds at their price."""

from __future__ import annotations

from random import Random

from pydantic import Field, ValidationInfo, model_validator

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.measurements import Price
from partitioner.objectives import cost_stage
from partitioner.profiles import DeviceProfile
from scheduler.policies.forecast import forecast
from scheduler.policies.options import PricePerS, SwitchingOptions, declared_in_profile
from scheduler.policies.selection import kept_before, least_then_quickest, runs_alone

__all__ = ["CostOptions", "CostPolicy"]


class CostOptions(SwitchingOptions):
    """The cloud's price, or the profile in which `isthmus declare` wrote it."""

    price: PricePerS = Field(
        description="of a replica's time, in any currency (or from `profile`, a declared profile's file)"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_profile(cls, given: object, info: ValidationInfo) -> object:
        remedy = "isthmus declare CLOUD.json --price 0.9/h"
        return declared_in_profile(given, info, "price", remedy, _price_in)


class CostPolicy:
    """The cheapest plan that is in time: the cloud's seconds at their price.

    price x cloud seconds (decoding, suffix, encoding); waiting in the cloud's queue costs nothing. Of plans that are
    equal within 1 % the quickest is taken. A switch costs its seconds at the price. Without a deadline that is
    edge-only for every model that the edge can run alone.
    """

    Options = CostOptions

    def __init__(self, options: CostOptions) -> None:
        self._price = Price(options.price, "the configuration's policy")
        self._switch_cost = options.switch_cost * options.price

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        found = forecast(request, link)
        usable = found.usable()
        costs: list[float] = found.values(cost_stage(self._price), waiting=0.0).tolist()
        best = least_then_quickest(found, usable, costs, rng)
        chosen, kept = kept_before(found, usable, costs, best, self._switch_cost, _money)
        return found.choice(chosen, f"costs {_money(costs[chosen])}, ", kept)

    def may_cross(self, request: ChoiceRequest) -> bool:
        """See Policy."""
        return request.remaining_s is not None or not runs_alone(request)


def _price_in(profile: DeviceProfile) -> dict[str, float] | None:
    return None if profile.price is None else {"price": profile.price.per_s}


def _money(amount: float) -> str:
    return f"{amount:.3g}"
