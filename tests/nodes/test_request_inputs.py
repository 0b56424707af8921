"""A request's inputs against the model's description."""

from __future__ import annotations

from dataclasses import replace

import hypothesis
import pytest
import torch
from hypothesis import strategies as st

from isthmus.errors import InvalidRequest, TooLarge
from nodes.gateway import ModelDescription, TensorDescription
from nodes.inputs import RequestInput
from nodes.limits import EDGE_LIMITS
from nodes.request_inputs import check_inputs

MODEL = ModelDescription(
    "m",
    "1",
    (
        TensorDescription("image", "float32", (-1, 3), accepts_files=True),
        TensorDescription("rows_first", "float32", (2, -1)),
    ),
    (TensorDescription("y", "float32", (-1, 1)),),
    max_batch=8,
)


def given(name: str, *shape: int) -> RequestInput:
    return RequestInput(name, "FP32", shape, lambda: torch.zeros(shape))


def unread(name: str, *shape: int, datatype: str = "FP32") -> RequestInput:
    """An input whose values nobody is to look at."""

    def read() -> torch.Tensor:
        raise AssertionError(f"{name} was read")

    return RequestInput(name, datatype, shape, read)


_NUMBERS = st.integers(0, 9)


@hypothesis.given(
    st.lists(st.sampled_from(["image", "rows_first", "other"]), max_size=3, unique=True),
    st.sampled_from(["FP32", "FP64", "INT8"]),
    st.lists(_NUMBERS, max_size=3),
    st.lists(_NUMBERS, max_size=3),
)
def test_no_values_are_read_of_a_request_that_is_refused(
    names: list[str], datatype: str, first: list[int], second: list[int]
) -> None:
    shapes = {"image": first, "rows_first": second, "other": first}
    inputs = [unread(name, *shapes[name], datatype=datatype) for name in names]
    batch = first[0] if first else 0
    fits = {*names} == {"image", "rows_first"} and datatype == "FP32" and 1 <= batch <= 8
    if fits and (first, second) == ([batch, 3], [2, batch]):
        with pytest.raises(AssertionError, match="was read"):
            check_inputs(MODEL, inputs, EDGE_LIMITS)
    else:
        with pytest.raises(InvalidRequest):
            check_inputs(MODEL, inputs, EDGE_LIMITS)


def test_of_several_inputs_none_is_read_before_all_are_known_to_fit() -> None:
    with pytest.raises(InvalidRequest, match="must share one batch size"):
        check_inputs(MODEL, [unread("image", 2, 3), unread("rows_first", 2, 3)], EDGE_LIMITS)
    files = RequestInput("image", "BYTES", (2,), None, (b"a", b"b"))
    with pytest.raises(TooLarge):
        check_inputs(MODEL, [files, unread("rows_first", 2, 2)], replace(EDGE_LIMITS, tensor_bytes=1))


@pytest.mark.parametrize("batch", [1, 8])
def test_a_batch_within_the_limit_is_that_of_every_input_wherever_its_dimension_stands(batch: int) -> None:
    checked = check_inputs(MODEL, [given("rows_first", 2, batch), given("image", batch, 3)], EDGE_LIMITS)
    assert checked.batch == batch
    assert list(checked.values) == ["image", "rows_first"]


@pytest.mark.parametrize("batch", [0, 9, 1000])
def test_a_batch_outside_the_limit_is_refused_with_the_limit(batch: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"batch: must be 1 to 8 \(got {batch}\); split the request"):
        check_inputs(MODEL, [given("image", batch, 3), given("rows_first", 2, batch)], EDGE_LIMITS)


def test_inputs_of_different_batches_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"must share one batch size \(got \[2, 3\]\)"):
        check_inputs(MODEL, [given("image", 2, 3), given("rows_first", 2, 3)], EDGE_LIMITS)


def test_files_give_one_item_each() -> None:
    files = RequestInput("image", "BYTES", (3, 1), None, (b"a", b"b", b"c"))
    assert check_inputs(MODEL, [files, given("rows_first", 2, 3)], EDGE_LIMITS).batch == 3


def test_files_are_refused_by_the_size_of_the_tensor_that_they_become() -> None:
    files = RequestInput("image", "BYTES", (3,), None, (b"a", b"b", b"c"))
    inputs = [files, given("rows_first", 2, 3)]
    check_inputs(MODEL, inputs, replace(EDGE_LIMITS, tensor_bytes=36))
    with pytest.raises(TooLarge, match=r"edge\.limits\.tensor: tensor image may take 35 bytes \(got 36\)"):
        check_inputs(MODEL, inputs, replace(EDGE_LIMITS, tensor_bytes=35))
