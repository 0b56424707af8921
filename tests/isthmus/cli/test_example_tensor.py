"""Example inputs as people write them."""

from __future__ import annotations

import pytest
import torch

from isthmus.cli.example_tensor import example_tensor
from isthmus.errors import InvalidInput


def test_a_shape_is_float32_noise_unless_said() -> None:
    made = example_tensor("2x3x8")
    assert (made.shape, made.dtype) == ((2, 3, 8), torch.float32)
    assert made.std() > 0


def test_integers_are_zeros_a_valid_index_anywhere() -> None:
    assert torch.equal(example_tensor("1x4:int64"), torch.zeros(1, 4, dtype=torch.int64))


def test_a_number_alone_has_no_dimensions() -> None:
    assert torch.equal(example_tensor("=16000:int64"), torch.tensor(16_000))
    assert torch.equal(example_tensor("=-0.5"), torch.tensor(-0.5))
    assert example_tensor("=16777217:int64").item() == 16_777_217  # which no float32 is
    assert example_tensor("=255:uint8").item() == 255
    assert example_tensor("=1:bool").item() is True


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "1xx2", "2x3:float99", "=a", "=1:warp", "99999999x99999999", "1,2", f"={1 << 63}:int64"),
        *("=300:uint8", "=-1:uint16", "=2:bool", "=1.5:int64", "=1000000:float16"),
        *(f"={'9' * 5000}", f"={'9' * 5000}:int64", "9" * 5000, f"=0.{'1' * 5000}"),
    ],
    ids=lambda text: text[:24],
)
def test_anything_else_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(InvalidInput, match="1x3x224x224"):
        example_tensor(text)
