"""The least of the edge's energy: watts while it computes, while it waits, and what its radio takes on top."""

from __future__ import annotations

from random import Random

from pydantic import Field, ValidationInfo, model_validator

from isthmus.errors import InvalidConfiguration
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.measurements import Power
from partitioner.objectives import energy_stage
from partitioner.profiles import DeviceProfile
from scheduler.policies.forecast import forecast
from scheduler.policies.options import PowerW, SwitchingOptions, declared_in_profile
from scheduler.policies.selection import kept_before, least_then_quickest

__all__ = ["EnergyOptions", "EnergyPolicy"]


class EnergyOptions(SwitchingOptions):
    """The device's watts: one by one, or as the profile says in which `isthmus declare` wrote them."""

    busy: PowerW = Field(description="while the edge computes (or all three from `profile`, a declared profile's file)")
    idle: PowerW = Field(description="while it waits")
    radio: PowerW = Field(description="on top, while bytes move")

    @model_validator(mode="before")
    @classmethod
    def _from_profile(cls, given: object, info: ValidationInfo) -> object:
        remedy = "isthmus declare EDGE.json --busy 5W --idle 1W --radio 2W"
        return declared_in_profile(given, info, "power", remedy, _watts_in)

    @model_validator(mode="after")
    def _busy_takes_more(self) -> EnergyOptions:
        if self.busy < self.idle:
            remedy = "a device that computes takes no less than one that waits"
            raise InvalidConfiguration("policy.busy", f"is below idle, {self.idle:g} W", value=self.busy, remedy=remedy)
        return self


class EnergyPolicy:
    """The least joules of the edge device: watts while it computes and waits, and its radio's while bytes move.

    busy x edge + idle x (waits + link + round trip + cloud + besides) + radio x (bytes up and down / bandwidth). Of
    plans that are equal within 1 % the quickest is taken. A switch costs its seconds at the busy watts.
    """

    Options = EnergyOptions
    explores = True

    def __init__(self, options: EnergyOptions) -> None:
        self._power = Power(options.busy, options.idle, options.radio, "the configuration's policy")
        self._switch_cost_j = options.switch_cost * options.busy

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        found = forecast(request, link)
        usable = found.usable()
        joules: list[float] = found.values(energy_stage(found.on_link, self._power), self._power.idle_w).tolist()
        best = least_then_quickest(found, usable, joules, rng)
        chosen, kept = kept_before(found, usable, joules, best, self._switch_cost_j, _joules)
        return found.choice(chosen, f"{_joules(joules[chosen])}, ", kept)


def _watts_in(profile: DeviceProfile) -> dict[str, float] | None:
    power = profile.power
    return None if power is None else {"busy": power.busy_w, "idle": power.idle_w, "radio": power.radio_w}


def _joules(energy_j: float) -> str:
    return f"{energy_j:.3g} J"
