"""A scenario file to a `Scenario`: checked, every fault with the path of its field, and a schema for editors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from isthmus.errors import InvalidConfiguration
from isthmus.yaml_file import read_mapping
from simulations.scenario.scenario import Scenario

__all__ = ["ScenarioFile", "checked", "read_scenario", "scenario_schema"]


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario as it was written, and what it means. folder: where relative paths start."""

    folder: Path
    data: Mapping[str, Any]
    scenario: Scenario


def read_scenario(path: Path) -> ScenarioFile:
    """Raises InvalidConfiguration naming the file or the field."""
    data, folder = read_mapping(path, "duration"), path.resolve().parent
    return ScenarioFile(folder, data, checked(data, folder))


def checked(data: Mapping[str, Any], folder: Path) -> Scenario:
    """Raises InvalidConfiguration naming the field."""
    try:
        return Scenario.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        raise _first_fault(error, data) from None


def scenario_schema() -> dict[str, Any]:
    """JSON schema of a scenario file: what editors complete and check by."""
    schema = Scenario.model_json_schema(mode="validation", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _first_fault(error: ValidationError, data: Mapping[str, Any]) -> InvalidConfiguration:
    fault = error.errors(include_url=False)[0]
    said = fault.get("ctx", {})
    field = _path(fault["loc"], data, fault["type"] in ("missing", "extra_forbidden")) or "scenario"
    if fault["type"] == "extra_forbidden":
        return InvalidConfiguration(field, "is not a key", remedy="see docs/simulation.md for the keys there are")
    if fault["type"] in ("missing", "union_tag_not_found"):
        key = "" if fault["type"] == "missing" else f".{str(said.get('discriminator', '')).strip(chr(39))}"
        return InvalidConfiguration(field + key, "is missing", remedy="set it")
    remedy = str(said.get("remedy", ""))
    return InvalidConfiguration(field, str(fault["msg"]), value=fault.get("input"), remedy=remedy)


def _path(location: tuple[int | str, ...], data: object, is_key: bool) -> str:
    """As a sweep names it: things by their names, "edges.shop.count". What pydantic adds for unions is left out.
    is_key: the last part is a key, whether it is there or not."""
    parts, here = list[str](), data
    for place, part in enumerate(location):
        if isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
            name = here.get("name") if isinstance(here, dict) else None
            parts.append(name if isinstance(name, str) else str(part))
        elif isinstance(here, dict) and part in here:
            here = here[part]
            parts.append(str(part))
        elif isinstance(here, dict) and is_key and place == len(location) - 1:
            parts.append(str(part))
    return ".".join(parts)
