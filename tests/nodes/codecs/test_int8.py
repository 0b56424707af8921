"""Eight bits an element: the error bound, and what stays exact."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidRequest
from nodes.codecs.base import EncodedTensor
from nodes.codecs.int8 import Int8Codec

CODEC = Int8Codec()


def round_trip(tensor: torch.Tensor) -> torch.Tensor:
    return CODEC.decode(CODEC.encode("x", tensor))


@given(
    seed=st.integers(0, 1000),
    shape=st.sampled_from([(1, 8, 6, 6), (3, 4, 5, 8), (2, 40), (2, 16, 32), (64,), (), (2, 3, 1, 1)]),
    scale=st.floats(1e-30, 1e30),
    offset=st.floats(-10, 10),
)
@settings(max_examples=100, deadline=None)
def test_the_error_stays_within_half_a_step(seed: int, shape: tuple[int, ...], scale: float, offset: float) -> None:
    values = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + offset) * scale
    step = (values.amax() - values.amin()) / 255
    rounding = 4e-7 * values.abs().amax()
    assert ((round_trip(values) - values).abs() <= step / 2 + rounding).all()


def test_each_channel_has_its_own_step() -> None:
    values = torch.rand(1, 2, 8, 8) * torch.tensor([1.0, 1000.0]).view(1, 2, 1, 1)
    assert (round_trip(values) - values)[:, 0].abs().max() <= 1 / 255


def test_an_item_is_quantised_the_same_in_every_batch() -> None:
    batch = torch.randn(3, 4, 8, 8) * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1)
    alone = torch.cat([round_trip(item.unsqueeze(0)) for item in batch])
    assert torch.equal(round_trip(batch), alone)


def test_constant_channels_are_exact() -> None:
    values = torch.full((1, 4, 8, 8), 0.1)
    assert torch.equal(round_trip(values), values)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_make_the_tensor_exact(bad: float) -> None:
    values = torch.randn(1, 4, 8, 8)
    values[0, 1, 2, 3] = bad
    assert torch.equal(round_trip(values).view(torch.int32), values.view(torch.int32))


def test_a_range_beyond_float32_makes_the_tensor_exact() -> None:
    values = torch.tensor([-3e38, 3e38]).repeat(32)
    assert torch.equal(round_trip(values), values)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_what_is_no_float_stays_exact(dtype: torch.dtype) -> None:
    values = torch.randint(0, 100, (2, 4, 8, 8)).to(dtype)
    assert torch.equal(round_trip(values), values)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_keep_their_dtype(dtype: torch.dtype) -> None:
    values = torch.rand(1, 4, 8, 8).to(dtype)
    decoded = round_trip(values)
    assert decoded.dtype == dtype
    assert (decoded.double() - values.double()).abs().max() < 0.01


def test_a_quarter_of_the_bytes_at_most_on_large_tensors() -> None:
    values = torch.randn(1, 16, 28, 28)
    assert len(CODEC.encode("x", values).data) < 0.27 * values.nbytes


def test_a_quantised_mode_for_integers_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="mode"):
        CODEC.decode(EncodedTensor("x", "int64", (4,), (), "int8", {}, b"\x01" + bytes(40)))


def test_missing_scales_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="scales"):
        CODEC.decode(EncodedTensor("x", "float32", (2, 64), (), "int8", {}, b"\x01" + bytes(10)))
