"""Three to eight bits an element: the error bound, what stays exact, and what the parameters change."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidPlan, InvalidRequest
from nodes.codecs.base import EncodedTensor
from nodes.codecs.linear import LINEAR_BITS, LinearCodec, have_ends, ranges_parameter

CODEC = LinearCodec(8)


def round_trip(tensor: torch.Tensor, chosen: LinearCodec = CODEC) -> torch.Tensor:
    return chosen.decode(chosen.encode("x", tensor))


@given(
    bits=st.sampled_from(LINEAR_BITS),
    seed=st.integers(0, 1000),
    shape=st.sampled_from([(1, 8, 6, 6), (3, 4, 5, 8), (2, 40), (2, 16, 32), (64,), (), (2, 3, 1, 1)]),
    scale=st.floats(1e-30, 1e30),
    offset=st.floats(-10, 10),
)
@settings(max_examples=100, deadline=None)
def test_the_error_stays_within_half_a_step(
    bits: int, seed: int, shape: tuple[int, ...], scale: float, offset: float
) -> None:
    values = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + offset) * scale
    step = (values.amax() - values.amin()) / (2**bits - 1)
    rounding = 4e-7 * values.abs().amax()
    assert ((round_trip(values, LinearCodec(bits)) - values).abs() <= step / 2 + rounding).all()


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


_LARGEST = torch.finfo(torch.float32).max


@pytest.mark.parametrize("bits", LINEAR_BITS)
@pytest.mark.parametrize("ends", [(0.0, _LARGEST), (-_LARGEST, 0.0), (1.0, _LARGEST), (-_LARGEST, -1.0)])
def test_what_is_finite_stays_finite(bits: int, ends: tuple[float, float]) -> None:
    values = torch.tensor(ends).repeat(32)
    decoded = round_trip(values, LinearCodec(bits))
    assert torch.isfinite(decoded).all()
    assert ((decoded.double() - values.double()).abs() <= 1e-6 * _LARGEST).all()


def test_five_bits_of_an_attention_mask_are_exact() -> None:
    """A 31st of the largest float32 rounds up, and 31 of that are infinity."""
    values = torch.tensor([0.0, -_LARGEST]).repeat(1, 4, 16)
    assert torch.equal(round_trip(values, LinearCodec(5)), values)


@pytest.mark.parametrize("ends", [(0.0, _LARGEST), (-_LARGEST, 0.0), (-_LARGEST, _LARGEST)])
def test_ranges_that_decode_to_infinity_are_none(ends: tuple[float, float]) -> None:
    values = torch.tensor(ends).repeat(1, 4, 16)
    assert not have_ends(values)
    with pytest.raises(InvalidPlan, match="ranges"):
        LinearCodec(8, {"ranges": ranges_parameter(values)})
    assert have_ends(values / 4)
    assert torch.isfinite(round_trip(values, LinearCodec(5, {"ranges": ranges_parameter(values / 4)}))).all()


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


def test_fewer_bits_are_fewer_bytes() -> None:
    values = torch.randn(1, 16, 28, 28)
    sizes = [len(LinearCodec(bits).encode("x", values).data) for bits in LINEAR_BITS]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.1 * values.nbytes


def test_one_step_an_item_where_the_plan_says_so() -> None:
    values = torch.rand(2, 2, 8, 8) * torch.tensor([1.0, 1000.0]).view(1, 2, 1, 1)
    decoded = round_trip(values, LinearCodec(3, {"scope": "tensor"}))
    assert (decoded[0, 0] == decoded[0, 0, 0, 0]).all()


def test_calibrated_ranges_do_not_travel_and_clip() -> None:
    calibration = torch.rand(4, 8, 6, 6)
    chosen = LinearCodec(8, {"ranges": ranges_parameter(calibration)})
    assert torch.allclose(round_trip(calibration, chosen), calibration, atol=1 / 500)
    assert round_trip(calibration * 3, chosen).max() <= calibration.max() * (1 + 1e-6)  # a step up and down again
    saved = len(CODEC.encode("x", calibration).data) - len(chosen.encode("x", calibration).data)
    assert saved == 8 * 4 * 8


def test_one_range_for_all_channels() -> None:
    calibration = torch.rand(4, 8, 6, 6)
    chosen = LinearCodec(4, {"ranges": ranges_parameter(calibration, scope="tensor")})
    assert torch.allclose(round_trip(calibration, chosen), calibration, atol=1 / 29)


def test_ranges_for_other_channels_are_refused_by_name() -> None:
    chosen = LinearCodec(4, {"ranges": ranges_parameter(torch.rand(4, 8, 6, 6))})
    with pytest.raises(InvalidRequest, match=r"feature.*8 channels"):
        chosen.encode("feature", torch.rand(1, 4, 6, 6))


@pytest.mark.parametrize(
    "parameters",
    [
        {"scope": "channel"},
        {"ranges": "!"},
        {"ranges": ""},
        {"ranges": "AAAAQAAAAAA="},
        {"coder": "zip"},
        {"bits": "4"},
    ],
)
def test_parameters_that_are_none_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidPlan):
        LinearCodec(4, parameters)


def test_the_range_coder_saves_where_levels_are_uneven() -> None:
    values = torch.rand(1, 16, 28, 28, generator=torch.Generator().manual_seed(0)) ** 4
    coded = LinearCodec(4, {"coder": "range"})
    assert len(coded.encode("x", values).data) < 0.97 * len(LinearCodec(4).encode("x", values).data)
    assert torch.equal(round_trip(values, coded), round_trip(values, LinearCodec(4)))
