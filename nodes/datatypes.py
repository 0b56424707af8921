"""The Open Inference Protocol's datatypes, next to torch's and numpy's."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.errors import InvalidRequest

__all__ = ["Datatype", "datatype_of", "datatype_of_dtype"]


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype: its name in the protocol, in torch and plans ("float32"), in numpy; its field of typed contents.

    numpy is "" where numpy has none (BF16), contents "" where the protocol allows raw contents only.
    """

    name: str
    dtype: str
    numpy: str
    item_bytes: int
    contents: str


_DATATYPES = (
    Datatype("BOOL", "bool", "bool", 1, "bool_contents"),
    Datatype("UINT8", "uint8", "uint8", 1, "uint_contents"),
    Datatype("UINT16", "uint16", "uint16", 2, "uint_contents"),
    Datatype("UINT32", "uint32", "uint32", 4, "uint_contents"),
    Datatype("UINT64", "uint64", "uint64", 8, "uint64_contents"),
    Datatype("INT8", "int8", "int8", 1, "int_contents"),
    Datatype("INT16", "int16", "int16", 2, "int_contents"),
    Datatype("INT32", "int32", "int32", 4, "int_contents"),
    Datatype("INT64", "int64", "int64", 8, "int64_contents"),
    Datatype("FP16", "float16", "float16", 2, ""),
    Datatype("BF16", "bfloat16", "", 2, ""),
    Datatype("FP32", "float32", "float32", 4, "fp32_contents"),
    Datatype("FP64", "float64", "float64", 8, "fp64_contents"),
)
_BY_NAME = {datatype.name: datatype for datatype in _DATATYPES}
_BY_DTYPE = {datatype.dtype: datatype for datatype in _DATATYPES}


def datatype_of(name: str, field: str) -> Datatype:
    """The datatype that the protocol calls `name`. Raises InvalidRequest naming `field`."""
    found = _BY_NAME.get(name)
    if found is None:
        raise InvalidRequest(
            f"{field}.datatype", "is not a datatype", value=name, remedy=f"use one of {', '.join(_BY_NAME)} or BYTES"
        )
    return found


def datatype_of_dtype(dtype: str) -> Datatype:
    """The datatype of tensors of `dtype` ("float32"). Raises InvalidRequest for one the protocol cannot carry."""
    found = _BY_DTYPE.get(dtype)
    if found is None:
        raise InvalidRequest("dtype", "cannot travel in the Open Inference Protocol", value=dtype)
    return found
