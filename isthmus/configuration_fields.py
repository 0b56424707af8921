"""What sections of the configuration file are made of: quantities and paths as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from isthmus.addresses import parse_address
from isthmus.errors import InvalidConfiguration
from isthmus.units import parse_bandwidth_bps, parse_duration_s, parse_size_bytes
from nodes.replica_endpoint import check_route

__all__ = [
    "Address",
    "Bandwidth",
    "ClusterAddress",
    "Duration",
    "FilePath",
    "MetadataKey",
    "RouteValue",
    "Section",
    "Size",
]


def _address(text: object) -> object:
    if isinstance(text, str):
        parse_address(text)
    return text


def _cluster(text: object) -> object:
    return text if text == "auto" else _address(text)


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


def _own_key(key: str) -> str:
    if key.startswith("grpc-") or key.endswith("-bin"):
        raise InvalidConfiguration("cloud.route", "is gRPC's own", value=key, remedy="use another key")
    return key


def _route(value: object) -> object:
    if isinstance(value, str):
        check_route(value)
    return value


Address = Annotated[str, BeforeValidator(_address)]
ClusterAddress = Annotated[str, BeforeValidator(_cluster)]
Bandwidth = Annotated[float, BeforeValidator(_bandwidth)]
Duration = Annotated[float, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
# What gRPC sends as it is; "grpc-" is its own, "-bin" is binary.
MetadataKey = Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,128}$"), AfterValidator(_own_key)]
RouteValue = Annotated[str, Field(pattern=r"^[ -~]{1,256}$"), BeforeValidator(_route)]
FilePath = Annotated[str, BeforeValidator(_beside_the_file)]


class Section(BaseModel):
    """Keys that there are not are refused; it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
