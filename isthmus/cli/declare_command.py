"""`isthmus declare`: what the objectives energy and cost need and a profile does not measure, or may not read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli.output_file import write_output
from isthmus.errors import InvalidInput
from isthmus.profile_file import read_profile
from isthmus.units import parse_power_w, parse_price_per_s

if TYPE_CHECKING:
    from partitioner.profiles import DeviceProfile

__all__ = ["declare"]

_REST = "; the rest "


def declare(
    profile: Annotated[Path, typer.Argument(metavar="PROFILE", help="The profile to write it into.")],
    busy: Annotated[str, typer.Option(help="Power while it computes, like 5W.")] = "",
    idle: Annotated[str, typer.Option(help="Power while it waits, like 800mW.")] = "",
    radio: Annotated[str, typer.Option(help="Power on top while bytes move, like 2W; 0W for a cable.")] = "",
    price: Annotated[str, typer.Option(help="Price of its time, in any currency, like 0.9/h.")] = "",
) -> None:
    """State the power and the price of a device in its profile; nothing is measured.

    The objective energy needs the edge's power, cost the cloud's price. What is not given stays as it was.
    """
    if not (busy or idle or radio or price):
        raise InvalidInput("declare", "says nothing", remedy="give --busy, --idle and --radio, or --price")
    by = f"declared {datetime.now(UTC):%Y-%m-%d}"
    known = read_profile(profile)
    if busy or idle or radio:
        known = _with_power(known, {"busy": busy, "idle": idle, "radio": radio}, by)
    if price:
        known = _with_price(known, price, by)
    write_output(profile, known.to_json(), "PROFILE")
    print(f"{profile}: {'; '.join(_words(known))}")


def _with_power(known: DeviceProfile, given: dict[str, str], by: str) -> DeviceProfile:
    from partitioner.measurements import Power

    was = known.power
    watts = {"busy": was.busy_w, "idle": was.idle_w} if was else {}
    if was is not None and was.knows_radio:
        watts["radio"] = was.radio_w
    watts |= {name: parse_power_w(text, f"--{name}") for name, text in given.items() if text}
    missing = [f"--{name}" for name in given if name not in watts]
    if missing:
        raise InvalidInput(missing[0], "is needed too", remedy="a device's power is stated busy, idle and of its radio")
    if watts["busy"] < watts["idle"]:
        raise InvalidInput("--busy", "is less than --idle", value=watts["busy"], remedy="give both as the device draws")
    if was is not None and was.measured and not (given["busy"] or given["idle"]):
        return replace(known, power=was.with_radio(watts["radio"], by))
    if was is not None and not (given["busy"] and given["idle"]):
        by += f"{_REST}{was.provenance.partition(_REST)[2] or was.said_by}"
    return replace(known, power=Power(watts["busy"], watts["idle"], watts["radio"], by))


def _with_price(known: DeviceProfile, price: str, by: str) -> DeviceProfile:
    from partitioner.measurements import Price

    return replace(known, price=Price(parse_price_per_s(price, "--price"), by))


def _words(known: DeviceProfile) -> list[str]:
    words = []
    if known.power is not None:
        power = known.power
        words.append(f"{power.busy_w:g} W busy, {power.idle_w:g} W idle, {power.radio_w:g} W radio")
    if known.price is not None:
        words.append(f"{known.price.per_s * 3600:g} an hour")
    return words
