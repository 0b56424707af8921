"""Frozen dataclasses to JSON and back: what the plans, profiles and plan tables share."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from isthmus.errors import InvalidInput

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["STRICT", "canonical_json", "read_json", "write_json"]

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""For `__pydantic_config__` of a dataclass that outside data becomes: a wrong key or a NaN is refused."""

T = TypeVar("T")


def write_json(value: DataclassInstance) -> str:
    """Readable JSON with sorted keys; equal values give equal text."""
    return json.dumps(asdict(value), sort_keys=True, indent=1, allow_nan=False) + "\n"


def canonical_json(value: Any) -> str:
    """The one text that stands for `value`, in digests too: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def read_json(kind: type[T], text: str | bytes, error: type[InvalidInput], what: str) -> T:
    """A `kind` from what `write_json` wrote. Raises `error` naming `what` and the key at fault."""
    try:
        value: T = _ADAPTER(kind).validate_json(text, strict=True)
        return value
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        where, given = ".".join(str(part) for part in first["loc"]), first["input"]
        shown = given if where and isinstance(given, str | int | float) else None  # no whole document
        raise error(f"{what}.{where}" if where else what, first["msg"], value=shown) from None


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


# Building a validator takes milliseconds, and plans are read often.
_ADAPTER: Callable[[Any], TypeAdapter[Any]] = functools.cache(_adapter)
