"""An output's highest classes, item by item."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.oip import open_inference_pb2 as oip
from nodes.transport.classification import least_bytes, write_classes
from nodes.transport.oip_messages import split_bytes_elements


def classes(tensor: torch.Tensor, count: int, *labels: str) -> tuple[list[int], list[str]]:
    """Shape and elements as they are written."""
    response = oip.ModelInferResponse()
    write_classes(response, "y", tensor, count, labels)
    elements = split_bytes_elements(response.raw_output_contents[0], "y")
    return list(response.outputs[0].shape), [element.decode() for element in elements]


def test_each_item_has_its_own_classes() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0], [6.0, 4.0, 5.0]])
    assert classes(scores, 1, "cat", "dog") == ([2, 1], ["3.000000:1:dog", "6.000000:0:cat"])


def test_one_value_an_item_is_its_one_class() -> None:
    assert classes(torch.tensor([1.0, 3.0, 2.0]), 1) == ([3, 1], ["1.000000:0", "3.000000:0", "2.000000:0"])


@pytest.mark.parametrize(
    ("shape", "written"), [((), [1, 1]), ((2, 0), [2, 0]), ((0, 3), [0, 2]), ((2, 2, 2), [2, 2])], ids=str
)
def test_other_shapes_are_items_first(shape: tuple[int, ...], written: list[int]) -> None:
    assert classes(torch.zeros(shape), 2)[0] == written


@given(st.lists(st.lists(st.floats(), min_size=2, max_size=2), min_size=1, max_size=4), st.integers(1, 3))
def test_no_classes_take_less_than_is_reckoned(scores: list[list[float]], count: int) -> None:
    tensor, response = torch.tensor(scores, dtype=torch.float64), oip.ModelInferResponse()
    write_classes(response, "y", tensor, count, ())
    assert len(response.raw_output_contents[0]) >= least_bytes(tensor, count) > 0
