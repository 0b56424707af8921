"""Scenarios that differ in some fields: what a sweep goes through."""

from __future__ import annotations

import copy
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from isthmus.errors import InvalidConfiguration
from simulations.scenario.reading import ScenarioFile, checked
from simulations.scenario.scenario import Scenario

__all__ = ["MOST_POINTS", "SweepPoint", "parse_setting", "parse_values", "sweep_points", "with_settings"]

MOST_POINTS = 10_000
_LONGEST_FOLDER, _DIGITS = 120, 8

Setting = tuple[str, Any]
"""A field by its path, as edges.shop.count, and a value for it."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One combination. settings: in the order in which the sweep names the fields; none where nothing is swept."""

    settings: tuple[Setting, ...]
    scenario: Scenario

    @property
    def name(self) -> str:
        """In words, for tables: "edges.shop.count=100"."""
        return ", ".join(f"{path}={_word(value)}" for path, value in self.settings)

    @property
    def folder(self) -> str:
        """For a file system: one that is cut to its longest ends in a digest of the whole name."""
        whole = re.sub(r"[^A-Za-z0-9._=-]+", "-", self.name).strip("-")
        if len(whole) <= _LONGEST_FOLDER:
            return whole
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:_DIGITS]
        return f"{whole[: _LONGEST_FOLDER - _DIGITS - 1]}-{digest}"


def with_settings(file: ScenarioFile, settings: Sequence[Setting]) -> ScenarioFile:
    """The file with these fields set, checked again. Raises InvalidConfiguration naming the field."""
    data: dict[str, Any] = copy.deepcopy(dict(file.data))
    for path, value in settings:
        _set(data, path, value)
    return ScenarioFile(file.folder, data, checked(data, file.folder))


def sweep_points(file: ScenarioFile, more: Mapping[str, Sequence[Any]] | None = None) -> tuple[SweepPoint, ...]:
    """Every combination of the scenario's own sweep and `more`, the last field changing fastest.

    Raises InvalidConfiguration for a field that is not there, a value that cannot be, no values, or too many points.
    """
    fields = {**file.scenario.sweep, **(more or {})}
    for path, values in fields.items():
        if not values:
            raise InvalidConfiguration(f"sweep.{path}", "has no values", remedy="list some: [1, 2]")
    count = 1
    for values in fields.values():
        count *= len(values)
    if count > MOST_POINTS:
        raise InvalidConfiguration("sweep", f"has more than {MOST_POINTS} points", value=count)
    points = []
    for combination in itertools.product(*fields.values()):
        settings = tuple(zip(fields, combination, strict=True))
        points.append(SweepPoint(settings, with_settings(file, settings).scenario if settings else file.scenario))
    return tuple(points)


def parse_setting(text: str, option: str) -> Setting:
    """Of "cloud.replicas=4". Raises InvalidConfiguration naming the option."""
    path, equals, value = text.partition("=")
    if not (path.strip() and equals):
        raise InvalidConfiguration(option, "is no setting", value=text, remedy="write it like cloud.replicas=4")
    return path.strip(), _value(value, option)


def parse_values(text: str, option: str) -> tuple[str, Sequence[Any]]:
    """Of "cloud.replicas=2,4,8". Raises InvalidConfiguration naming the option."""
    path, equals, values = text.partition("=")
    if not (path.strip() and equals and values.strip()):
        raise InvalidConfiguration(option, "is no sweep", value=text, remedy="write it like cloud.replicas=2,4,8")
    found = _value(f"[{values}]", option)
    return path.strip(), tuple(found)


def _value(text: str, option: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidConfiguration(option, "holds no value", value=text) from error


def _set(data: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    here: Any = data
    for place, part in enumerate(way):
        there = _entered(here, part)
        if there is None:
            so_far = ".".join(way[: place + 1])
            raise InvalidConfiguration(path, f"{so_far} is not there", remedy=f"there are: {_known(here)}")
        here = there
    if isinstance(here, dict):
        here[last] = value
        return
    position = _position(here, last) if isinstance(here, list) else None
    if position is None:
        raise InvalidConfiguration(path, f"{last} is not there", remedy=f"there are: {_known(here)}")
    here[position] = value


def _entered(here: Any, part: str) -> Any:
    """A section that the file leaves out, as `cloud`, is made."""
    if isinstance(here, dict):
        if here.get(part) is None:
            here[part] = {}
        return here[part]
    position = _position(here, part) if isinstance(here, list) else None
    return None if position is None else here[position]


def _position(things: list[Any], part: str) -> int | None:
    """By name, or by number from 0."""
    for position, thing in enumerate(things):
        if isinstance(thing, dict) and thing.get("name") == part:
            return position
    return int(part) if part.isdecimal() and int(part) < len(things) else None


def _known(here: Any) -> str:
    if isinstance(here, dict):
        return ", ".join(map(str, here))
    if isinstance(here, list):
        return ", ".join(
            str(thing.get("name", n)) if isinstance(thing, dict) else str(n) for n, thing in enumerate(here)
        )
    return "no fields, it is a value"


def _word(value: Any) -> str:
    return (
        str(value) if isinstance(value, str | int | float) else yaml.safe_dump(value, default_flow_style=True).strip()
    )
