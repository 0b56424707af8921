"""Channels tiled into a picture: near at high quality, and nothing from data but pictures of the right size."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidPlan, InvalidRequest
from nodes.codecs.factory import codec
from nodes.codecs.linear import ranges_parameter
from nodes.codecs.lossy_image import LOSSY_FORMATS
from nodes.codecs.tiled import takes_tiles

VALUES = torch.nn.functional.avg_pool2d(torch.randn(3, 10, 18, 16, generator=torch.Generator().manual_seed(0)), 5, 1)
RANGES = ranges_parameter(VALUES)


@pytest.mark.parametrize("form", LOSSY_FORMATS)
def test_quality_buys_nearness_with_bytes(form: str) -> None:
    sizes, errors = [], []
    for quality in ("30", "95"):
        made = codec("tiled", {"format": form, "quality": quality, "ranges": RANGES})
        encoded = made.encode("x", VALUES)
        sizes.append(len(encoded.data))
        errors.append(float((made.decode(encoded) - VALUES).abs().mean()))
    assert sizes[0] < sizes[1]
    assert errors[1] < min(errors[0], 0.02)


def test_channels_last_stays_channels_last() -> None:
    made = codec("tiled", {"format": "avif", "quality": "95", "ranges": RANGES})
    values = VALUES.contiguous(memory_format=torch.channels_last)
    assert made.decode(made.encode("x", values)).stride() == values.stride()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_values_that_are_not_finite_make_the_tensor_exact(bad: float, dtype: torch.dtype) -> None:
    made = codec("tiled", {"format": "jpeg", "quality": "95", "ranges": RANGES})
    values = VALUES.to(dtype, memory_format=torch.channels_last, copy=True)
    values[1, 2, 3, 4] = bad
    decoded = made.decode(made.encode("x", values))
    assert torch.equal(decoded.nan_to_num(7.0), values.nan_to_num(7.0))
    assert decoded.stride() == values.stride()


@pytest.mark.parametrize("form", LOSSY_FORMATS)
def test_tiles_larger_than_pictures_can_be_are_exact(form: str) -> None:
    values = torch.randn(1, 1, 1, 16_384)
    made = codec("tiled", {"format": form, "quality": "95", "ranges": ranges_parameter(values)})
    assert torch.equal(made.decode(made.encode("x", values)), values)


def test_a_mode_that_is_none_is_refused() -> None:
    made = codec("tiled", {"format": "jpeg", "quality": "95", "ranges": RANGES})
    encoded = made.encode("x", VALUES)
    with pytest.raises(InvalidRequest, match="mode"):
        made.decode(replace(encoded, data=b"\2" + encoded.content[1:]))


@pytest.mark.parametrize("shape", [(3, 9, 4, 4), (3, 10), (3, 10, 0, 4)])
def test_tensors_without_those_channels_are_refused(shape: tuple[int, ...]) -> None:
    made = codec("tiled", {"format": "jpeg", "quality": "95", "ranges": RANGES})
    with pytest.raises(InvalidRequest, match="feature"):
        made.encode("feature", torch.zeros(shape))


@pytest.mark.parametrize("change", [{"format": "gif"}, {"quality": "0"}, {"ranges": "?"}, {"more": "1"}])
def test_parameters_that_are_none_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(InvalidPlan):
        codec("tiled", {"format": "jpeg", "quality": "95", "ranges": RANGES} | change)


@given(position=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_damaged_message_decodes_or_is_refused(position: int, value: int, cut: bool) -> None:
    made = codec("tiled", {"format": "webp-lossy", "quality": "80", "ranges": RANGES})
    encoded = made.encode("x", VALUES)
    at = position % len(encoded.data)
    damaged = encoded.data[:at] if cut else encoded.data[:at] + bytes([value]) + encoded.data[at + 1 :]
    with suppress(InvalidRequest):
        assert made.decode(replace(encoded, data=damaged)).shape == VALUES.shape


@pytest.mark.parametrize(
    ("shape", "able"),
    [((7, 8, 5, 5), True), ((7, 8, 25), False), ((7, 8, 0, 5), False), ((7, 8, 1, 16384), False), ((0, 1, 1, 9), True)],
)
def test_a_tensor_that_makes_no_picture_is_known_by_its_shape(shape: tuple[int, ...], able: bool) -> None:
    assert takes_tiles(shape) == able
