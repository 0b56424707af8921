"""Open Inference Protocol messages to plain values and back: raw and typed contents, BYTES elements, parameters."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.errors import InvalidRequest
from isthmus.oip import open_inference_pb2 as oip
from nodes.codecs.dtypes import dtype_name, dtype_named
from nodes.codecs.layout import tensor_over
from nodes.datatypes import Datatype, datatype_of, datatype_of_dtype
from nodes.inputs import RequestInput
from nodes.limits import NodeLimits

__all__ = [
    "MAX_DIMENSIONS",
    "ParameterValue",
    "join_bytes_elements",
    "parameter_values",
    "read_inputs",
    "set_parameters",
    "split_bytes_elements",
    "write_bytes_output",
    "write_output",
]

ParameterValue = bool | int | str | float
MAX_DIMENSIONS = 32
MAX_ELEMENTS = 1 << 40


def read_inputs(request: oip.ModelInferRequest, limits: NodeLimits) -> tuple[RequestInput, ...]:
    """The inputs of a request, whose contents are as long as their shapes ask; their values are read by who takes them.
    Raises InvalidRequest naming the input and what is wrong with it, TooLarge."""
    raw, inputs = list(request.raw_input_contents), list(request.inputs)
    if raw and len(raw) != len(inputs):
        raise InvalidRequest(
            "raw_input_contents", f"has {len(raw)} entries for {len(inputs)} inputs", remedy="send one an input"
        )
    names = [tensor.name for tensor in inputs]
    if len(set(names)) != len(names):
        raise InvalidRequest("inputs", "an input is named twice", value=names)
    return tuple([_read_input(tensor, raw[i] if raw else None, limits) for i, tensor in enumerate(inputs)])


def _read_input(tensor: oip.ModelInferRequest.InferInputTensor, raw: bytes | None, limits: NodeLimits) -> RequestInput:
    field = f"input {tensor.name}"
    shape = _checked_shape(tensor.shape, field)
    if raw is not None and tensor.HasField("contents"):
        raise InvalidRequest(field, "has both contents and raw_input_contents", remedy="send one of them")
    if tensor.datatype == "BYTES":
        return RequestInput(tensor.name, "BYTES", shape, None, _bytes_elements(tensor, raw, shape, field))
    name, datatype = tensor.name, datatype_of(tensor.datatype, field)
    limits.check_tensor(name, math.prod(shape) * datatype.item_bytes)
    if raw is not None:
        read = _raw_reader(raw, datatype, shape, field)
    else:
        read = _typed_reader(tensor, datatype, shape, field)
    return RequestInput(name, datatype.name, shape, read)


def _bytes_elements(
    tensor: oip.ModelInferRequest.InferInputTensor, raw: bytes | None, shape: tuple[int, ...], field: str
) -> tuple[bytes, ...]:
    typed, asked = tensor.contents.bytes_contents, math.prod(shape)
    elements = tuple(typed[: asked + 1]) if raw is None else split_bytes_elements(raw, field, asked + 1)
    if len(elements) != asked:
        given = f"more than {asked}" if len(elements) > asked else len(elements)
        raise InvalidRequest(field, f"shape {list(shape)} asks for {asked} elements", value=given)
    return elements


def _checked_shape(shape: Sequence[int], field: str) -> tuple[int, ...]:
    if len(shape) > MAX_DIMENSIONS:  # before they are looked at: a message has room for millions
        raise InvalidRequest(f"{field}.shape", f"may have {MAX_DIMENSIONS} dimensions", value=f"{len(shape)} of them")
    dimensions = tuple(shape)
    if min(dimensions, default=0) < 0:
        raise InvalidRequest(f"{field}.shape", "dimensions must be zero or more", value=list(dimensions))
    # An empty tensor's other dimensions may be anything by the sums below; no library takes them.
    if math.prod([size or 1 for size in dimensions]) > MAX_ELEMENTS:
        raise InvalidRequest(f"{field}.shape", "is larger than any message", value=list(dimensions))
    return dimensions


def _raw_reader(raw: bytes, datatype: Datatype, shape: tuple[int, ...], field: str) -> Callable[[], torch.Tensor]:
    expected = math.prod(shape) * datatype.item_bytes
    if len(raw) != expected:
        raise InvalidRequest(
            field, f"{datatype.name} of shape {list(shape)} takes {expected} bytes", value=f"{len(raw)} bytes"
        )
    return lambda: tensor_over(raw, dtype_named(datatype.dtype)).reshape(shape)


def _typed_reader(
    tensor: oip.ModelInferRequest.InferInputTensor, datatype: Datatype, shape: tuple[int, ...], field: str
) -> Callable[[], torch.Tensor]:
    if not datatype.contents:
        raise InvalidRequest(field, f"{datatype.name} has no typed contents", remedy="send raw_input_contents")
    values: Sequence[float] = getattr(tensor.contents, datatype.contents)
    if len(values) != math.prod(shape):
        raise InvalidRequest(
            f"{field}.contents.{datatype.contents}",
            f"shape {list(shape)} asks for {math.prod(shape)} values",
            value=f"{len(values)} values",
        )
    return partial(_typed_tensor, values, datatype, shape, field)


def _typed_tensor(values: Sequence[float], datatype: Datatype, shape: tuple[int, ...], field: str) -> torch.Tensor:
    wide = np.asarray(values, dtype=_WIDE[datatype.contents])
    narrow = wide.astype(datatype.numpy)
    if narrow.dtype != wide.dtype:
        _check_same(wide, narrow, datatype, field)
    return torch.from_numpy(narrow.reshape(shape))


def _check_same(wide: NDArray[np.generic], narrow: NDArray[np.generic], datatype: Datatype, field: str) -> None:
    """Only integers come in a wider type than their own (the protocol has no contents of 8 and 16 bits)."""
    outside = wide[wide != narrow]
    if outside.size:
        bounds = np.iinfo(datatype.numpy)
        remedy = f"send {bounds.min} to {bounds.max}"
        raise InvalidRequest(field, f"has values outside {datatype.name}", value=outside[0].item(), remedy=remedy)


_WIDE = {
    "bool_contents": "bool",
    "uint_contents": "uint32",
    "uint64_contents": "uint64",
    "int_contents": "int32",
    "int64_contents": "int64",
    "fp32_contents": "float32",
    "fp64_contents": "float64",
}


def split_bytes_elements(raw: bytes, field: str, most: int = MAX_ELEMENTS) -> tuple[bytes, ...]:
    """The first `most` elements of a raw BYTES tensor: each a little-endian uint32 length and as many bytes."""
    elements: list[bytes] = []
    offset = 0
    while offset < len(raw) and len(elements) < most:
        if offset + 4 > len(raw):
            raise InvalidRequest(field, "raw BYTES end inside an element's length")
        (length,) = struct.unpack_from("<I", raw, offset)
        offset += 4
        if offset + length > len(raw):
            raise InvalidRequest(field, "raw BYTES end inside an element", value=f"{length} bytes announced")
        elements.append(raw[offset : offset + length])
        offset += length
    return tuple(elements)


def join_bytes_elements(elements: Iterable[bytes]) -> bytes:
    """The raw contents of a BYTES tensor: what `split_bytes_elements` splits."""
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def write_output(response: oip.ModelInferResponse, name: str, tensor: torch.Tensor) -> None:
    """Append an output with raw contents."""
    datatype = datatype_of_dtype(dtype_name(tensor.dtype, name))
    response.outputs.add(name=name, datatype=datatype.name, shape=tensor.shape)
    # NumPy has no bfloat16: two bytes are two bytes. Every call into torch gives up the interpreter's lock, and beside
    # a busy worker waits for it again: so few calls.
    carried = tensor if datatype.numpy else tensor.view(torch.int16)
    response.raw_output_contents.append(carried.numpy(force=True).tobytes())


def write_bytes_output(
    response: oip.ModelInferResponse, name: str, shape: Sequence[int], elements: Iterable[bytes]
) -> None:
    """Append a BYTES output with raw contents, one element after the other in row-major order."""
    response.outputs.add(name=name, datatype="BYTES", shape=shape)
    response.raw_output_contents.append(join_bytes_elements(elements))


def parameter_values(parameters: Mapping[str, oip.InferParameter]) -> dict[str, ParameterValue]:
    """The parameters of a message as plain values; one without a value is left out."""
    values: dict[str, ParameterValue] = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is not None:
            values[name] = getattr(parameter, kind)
    return values


def set_parameters(target: oip.ModelInferResponse, values: Mapping[str, ParameterValue]) -> None:
    """Set the parameters of a response."""
    parameters = target.parameters
    for name, value in values.items():
        match value:
            case float():  # most are
                parameters[name].double_param = value
            case str():
                parameters[name].string_param = value
            case bool():
                parameters[name].bool_param = value
            case int():
                parameters[name].int64_param = value
