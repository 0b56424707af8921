"""The dtypes that may travel, and their names on the wire."""

from __future__ import annotations

import torch

from isthmus.errors import InvalidRequest

__all__ = ["DTYPE_NAMES", "dtype_name", "dtype_named"]

DTYPE_NAMES = (
    "bfloat16",
    "bool",
    "complex128",
    "complex64",
    "float16",
    "float32",
    "float64",
    "int16",
    "int32",
    "int64",
    "int8",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
)

_BY_NAME: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPE_NAMES}
_BY_DTYPE = {dtype: name for name, dtype in _BY_NAME.items()}


def dtype_name(dtype: torch.dtype, field: str = "dtype") -> str:
    """ "float32" for torch.float32. Raises InvalidRequest for a dtype that cannot travel."""
    name = _BY_DTYPE.get(dtype)
    if name is None:
        raise InvalidRequest(field, "has a dtype that cannot travel", value=str(dtype), remedy="use " + _choices())
    return name


def dtype_named(name: str, field: str = "dtype") -> torch.dtype:
    """torch.float32 for "float32". Raises InvalidRequest for any other text."""
    dtype = _BY_NAME.get(name)
    if dtype is None:
        raise InvalidRequest(field, "has an unknown dtype", value=name, remedy="use " + _choices())
    return dtype


def _choices() -> str:
    return ", ".join(DTYPE_NAMES)
