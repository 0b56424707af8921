"""Open Inference Protocol messages: raw and typed contents, BYTES, parameters, and what breaks them."""

from __future__ import annotations

import contextlib
import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidRequest
from isthmus.oip import open_inference_pb2 as oip
from nodes.datatypes import datatype_of
from nodes.limits import EDGE_LIMITS
from nodes.transport.oip_messages import (
    parameter_values,
    read_inputs,
    set_parameters,
    split_bytes_elements,
    write_bytes_output,
    write_output,
)


def one_input(datatype: str, shape: list[int], raw: bytes | None = None, **contents: object) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name="m")
    added = request.inputs.add(name="x", datatype=datatype, shape=shape)
    if raw is not None:
        request.raw_input_contents.append(raw)
    for name, values in contents.items():
        getattr(added.contents, name).extend(values)
    return request


def tensor_of(request: oip.ModelInferRequest) -> torch.Tensor:
    (given,) = read_inputs(request, EDGE_LIMITS)
    assert given.read is not None
    return given.read()


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
)
def test_a_written_tensor_reads_back_equal(dtype: str) -> None:
    tensor = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(getattr(torch, dtype))
    response = oip.ModelInferResponse()
    write_output(response, "x", tensor)
    request = one_input(response.outputs[0].datatype, [2, 3], response.raw_output_contents[0])
    read = tensor_of(request)
    assert torch.equal(read, tensor)
    assert read.dtype == tensor.dtype


def test_typed_contents_read_as_tensors() -> None:
    assert tensor_of(one_input("FP32", [1, 2], fp32_contents=[1.5, -2.0])).tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize(("datatype", "contents"), [("FP32", "fp32_contents"), ("FP64", "fp64_contents")])
def test_typed_contents_hold_every_number_that_is_none(datatype: str, contents: str) -> None:
    values = [math.nan, math.inf, -math.inf, -0.0]
    assert str(tensor_of(one_input(datatype, [4], None, **{contents: values})).tolist()) == str(values)


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_raw_bytes_elements_split_as_they_were_framed(elements: list[bytes]) -> None:
    raw = b"".join(struct.pack("<I", len(element)) + element for element in elements)
    assert split_bytes_elements(raw, "x") == tuple(elements)


@given(st.binary(max_size=60))
def test_garbage_bytes_elements_are_refused_or_read_whole(raw: bytes) -> None:
    try:
        elements = split_bytes_elements(raw, "x")
    except InvalidRequest:
        return
    assert sum(4 + len(element) for element in elements) == len(raw)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (one_input("FP32", [1, 2], b"1234"), "takes 8 bytes"),
        (one_input("FP99", [1], b""), "is not a datatype"),
        (one_input("FP32", [-1], b""), "zero or more"),
        (one_input("FP32", [3], fp32_contents=[1.0]), "asks for 3 values"),
        (one_input("FP16", [1], fp32_contents=[1.0]), "no typed contents"),
        (one_input("BYTES", [2], b"\x01\x00\x00\x00a"), "asks for 2 elements"),
        (one_input("BYTES", [2], bytes(4 * 1000)), "asks for 2 elements .got 'more than 2'"),
        (one_input("BYTES", [2], bytes_contents=[b""] * 1000), "asks for 2 elements .got 'more than 2'"),
        (one_input("FP32", [1], b"1234", fp32_contents=[1.0]), "both contents"),
    ],
)
def test_a_broken_input_is_refused_by_name(request_: oip.ModelInferRequest, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_inputs(request_, EDGE_LIMITS)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (one_input("UINT8", [2], uint_contents=[1, 300]), r"outside UINT8 \(got 300\); send 0 to 255"),
        (one_input("INT16", [1], int_contents=[-40000]), r"outside INT16 \(got -40000\); send -32768 to 32767"),
    ],
)
def test_a_value_outside_its_datatype_is_refused_as_it_is_read(request_: oip.ModelInferRequest, words: str) -> None:
    (given,) = read_inputs(request_, EDGE_LIMITS)
    assert given.read is not None
    with pytest.raises(InvalidRequest, match=words):
        given.read()


@given(
    st.sampled_from(["FP32", "BYTES", "BOOL", "FP16", "INT64", "UINT8", "nonsense"]),
    st.lists(st.sampled_from([0, 1, 2, 2**62, 2**63 - 1, -1]), max_size=4),
    st.none() | st.binary(max_size=16),
    st.lists(st.floats(width=32), max_size=4),
)
def test_any_shape_is_read_or_refused(datatype: str, shape: list[int], raw: bytes | None, typed: list[float]) -> None:
    request = one_input(datatype, shape, raw) if raw is not None else one_input(datatype, shape, fp32_contents=typed)
    with contextlib.suppress(InvalidRequest):
        (read,) = read_inputs(request, EDGE_LIMITS)
        assert read.shape == tuple(shape)
        assert read.read is None or read.read().shape == read.shape


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"])
def test_typed_contents_hold_every_integer_of_their_datatype(datatype: str) -> None:
    kind = datatype_of(datatype, "x")
    limits = torch.iinfo(getattr(torch, kind.dtype)) if datatype != "BOOL" else None
    edges = [limits.min, limits.max] if limits else [False, True]
    assert tensor_of(one_input(datatype, [2], None, **{kind.contents: edges})).tolist() == edges


def test_no_more_elements_are_taken_apart_than_are_of_use() -> None:
    assert split_bytes_elements(bytes(4 * 1000), "x", most=3) == (b"", b"", b"")


def test_typed_bytes_are_the_elements() -> None:
    (read,) = read_inputs(one_input("BYTES", [2, 1], bytes_contents=[b"", b"\x00a"]), EDGE_LIMITS)
    assert read.elements == (b"", b"\x00a")


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_written_bytes_split_again(elements: list[bytes]) -> None:
    response = oip.ModelInferResponse()
    write_bytes_output(response, "x", [len(elements)], elements)
    assert response.outputs[0].datatype == "BYTES"
    assert split_bytes_elements(response.raw_output_contents[0], "x") == tuple(elements)


def test_raw_contents_must_match_the_inputs() -> None:
    request = one_input("FP32", [1], b"1234")
    request.raw_input_contents.append(b"")
    with pytest.raises(InvalidRequest, match="2 entries for 1 inputs"):
        read_inputs(request, EDGE_LIMITS)


def test_parameters_keep_their_kinds() -> None:
    values: dict[str, bool | int | str | float] = {"a": True, "b": 3, "c": "x", "d": 0.5}
    response = oip.ModelInferResponse()
    set_parameters(response, values)
    assert parameter_values(response.parameters) == values
