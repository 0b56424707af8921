"""What sections of a scenario are made of: quantities, paths and names as people write them.

Faults are pydantic's, so that the error names the path of the field; `reading.fault_of` makes ours of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from isthmus.errors import InvalidInput
from isthmus.units import (
    parse_bandwidth_bps,
    parse_duration_s,
    parse_power_w,
    parse_size_bytes,
)

__all__ = ["Bandwidth", "Duration", "File", "Name", "Power", "Share", "Size", "Start", "positive"]


def _quantity(parse: Callable[[str | float], float], kind: str, example: str) -> tuple[BeforeValidator, WithJsonSchema]:
    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise PydanticCustomError("quantity", "is no {kind}", {"kind": kind, "remedy": f"write it like {example}"})
        try:
            return parse(value)
        except InvalidInput as error:
            facts = {"problem": error.problem, "remedy": error.remedy}
            raise PydanticCustomError("quantity", "{problem}", facts) from None

    schema: dict[str, Any] = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "examples": [example]}]}
    return BeforeValidator(read), WithJsonSchema(schema)


def _beside_the_scenario(path: object, info: ValidationInfo) -> object:
    """A relative path starts at the scenario's own folder."""
    folder = (info.context or {}).get("folder")
    return str(folder / path) if isinstance(path, str) and path and isinstance(folder, Path) else path


# As text: YAML makes a number of `uplink: 20`, which is as bare as on a command line.
_bps, _bps_schema = _quantity(lambda value: parse_bandwidth_bps(str(value)), "bandwidth", "20mbps")
_s, _s_schema = _quantity(parse_duration_s, "time", "30ms")
_bytes, _bytes_schema = _quantity(parse_size_bytes, "size", "100kB")
_w, _w_schema = _quantity(parse_power_w, "power", "5W")

Bandwidth = Annotated[float, _bps, _bps_schema]
Duration = Annotated[float, _s, _s_schema, Field(le=1e9)]
"""Seconds."""
Size = Annotated[int, _bytes, _bytes_schema]
Power = Annotated[float, _w, _w_schema]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
File = Annotated[str, Field(min_length=1), BeforeValidator(_beside_the_scenario)]
"""A path, beside the scenario where it is relative."""


def _start(value: Any) -> str:
    return "random" if value == "random" else "a time"


Start = Annotated[
    Annotated[Literal["random"], Tag("random")] | Annotated[Duration, Tag("a time")], Discriminator(_start)
]
"""Where in a recording who plays it begins: at a time of it, or "random", apart from each other."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""Of a thing in the scenario. Without dots: a path names fields as edges.shop.count."""


def positive(value: float) -> float:
    """For an AfterValidator: a time that must not be zero."""
    if not value > 0:
        raise PydanticCustomError("quantity", "must be above zero", {"remedy": ""})
    return value
