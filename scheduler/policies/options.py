"""What options of policies are made of: pydantic models, with quantities as people write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from isthmus.errors import InvalidConfiguration
from isthmus.units import parse_duration_s, parse_power_w, parse_price_per_s
from partitioner.profiles import DeviceProfile

__all__ = ["Duration", "PolicyOptions", "PowerW", "PricePerS", "SwitchingOptions", "declared_in_profile"]


class PolicyOptions(BaseModel):
    """Base of the options of a policy: unknown ones are refused, and they do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _duration(value: object, info: ValidationInfo) -> object:
    return parse_duration_s(value, f"policy.{info.field_name}") if isinstance(value, str | int | float) else value


def _power(value: object, info: ValidationInfo) -> object:
    return parse_power_w(value, f"policy.{info.field_name}") if isinstance(value, str | int | float) else value


def _price(value: object, info: ValidationInfo) -> object:
    return parse_price_per_s(value, f"policy.{info.field_name}") if isinstance(value, str | int | float) else value


Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds of "30ms"."""
PowerW = Annotated[float, BeforeValidator(_power)]
"""Watts of "5W"."""
PricePerS = Annotated[float, BeforeValidator(_price)]
"""Price a second of "0.9/h"."""


class SwitchingOptions(PolicyOptions):
    """Of policies that can stay with the plan chosen before."""

    switch_cost: Duration = Field(default=0.0, description="what the first request after a switch takes besides")


def declared_in_profile(
    given: object,
    info: ValidationInfo,
    what: str,
    remedy: str,
    declared: Callable[[DeviceProfile], dict[str, float] | None],
) -> object:
    """For a validator "before" of options: those that `given` leaves to the file it names as `profile`, where `isthmus
    declare` wrote them. A relative path starts at the configuration's folder; what stands beside it goes first.

    what, remedy: for people, where `declared` finds nothing in it. Raises InvalidConfiguration then and for a file that
    cannot be read, InvalidProfile for one that is no profile.
    """
    if not isinstance(given, dict) or "profile" not in given:
        return given
    folder = (info.context or {}).get("folder") or Path.cwd()
    path = Path(folder) / str(given["profile"])
    try:
        profile = DeviceProfile.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        how = "make one with `isthmus profile -o` and `isthmus declare`"
        raise InvalidConfiguration("policy.profile", "cannot be read", value=str(path), remedy=how) from error
    found = declared(profile)
    if found is None:
        raise InvalidConfiguration("policy.profile", f"declares no {what}", value=str(given["profile"]), remedy=remedy)
    return found | {name: value for name, value in given.items() if name != "profile"}
