"""What sections of the configuration file are made of: quantities and paths as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from isthmus.addresses import parse_address
from isthmus.units import parse_bandwidth_bps, parse_duration_s, parse_size_bytes

__all__ = ["Address", "Bandwidth", "Duration", "FilePath", "Section", "Size"]


def _address(text: object) -> object:
    if isinstance(text, str):
        parse_address(text)
    return text


def _bandwidth(value: object) -> object:
    # As text: YAML makes a number of `bandwidth: 20`, which is as bare as on a command line.
    return parse_bandwidth_bps(str(value)) if isinstance(value, str | int | float) else value


def _duration(value: object) -> object:
    return parse_duration_s(value) if isinstance(value, str | int | float) else value


def _size(value: object) -> object:
    return parse_size_bytes(value) if isinstance(value, str | int | float) else value


def _beside_the_file(path: object, info: ValidationInfo) -> object:
    """A relative path starts at the configuration's own folder."""
    folder = (info.context or {}).get("folder")
    return str(folder / path) if isinstance(path, str) and path and isinstance(folder, Path) else path


Address = Annotated[str, BeforeValidator(_address)]
Bandwidth = Annotated[float, BeforeValidator(_bandwidth)]
Duration = Annotated[float, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
FilePath = Annotated[str, BeforeValidator(_beside_the_file)]


class Section(BaseModel):
    """Keys that there are not are refused; it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
