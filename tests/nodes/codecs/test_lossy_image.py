"""Lossy pictures: nearer and longer with quality, refused when they are none."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidPlan, InvalidRequest
from nodes.codecs.factory import LOSSY_IMAGE_CODEC_NAMES, codec, encodes_images, image_codec
from nodes.preprocessing import ImageBatch, preprocess
from partitioner.spec import ImagePreprocessing

HOW = ImagePreprocessing(96, 96, 112)


@pytest.mark.parametrize("name", LOSSY_IMAGE_CODEC_NAMES)
def test_quality_buys_nearness_with_bytes(name: str, photos: dict[str, bytes]) -> None:
    images = ImageBatch((photos["chelsea"], photos["china"]))
    exact, sizes, errors = preprocess(images, HOW), [], []
    for quality in ("20", "60", "95"):
        made = image_codec(name, HOW, {"quality": quality})
        encoded = made.encode_images("image", images)
        sizes.append(len(encoded.data))
        errors.append(float((made.decode(encoded) - exact).square().mean()))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("name", LOSSY_IMAGE_CODEC_NAMES)
def test_they_are_lossy_and_take_images(name: str) -> None:
    assert not image_codec(name, HOW, {"quality": "50"}).lossless
    assert encodes_images(name)
    with pytest.raises(InvalidPlan, match="image_codec"):
        codec(name, {"quality": "50"})


@pytest.mark.parametrize("parameters", [{}, {"quality": "0"}, {"quality": "101"}, {"quality": "9.5"}, {"effort": "1"}])
def test_a_quality_that_is_none_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidPlan):
        image_codec("jpeg", HOW, parameters)


@pytest.mark.parametrize("name", LOSSY_IMAGE_CODEC_NAMES)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_damaged_picture_decodes_or_is_refused(name: str, position: int, value: int, cut: bool) -> None:
    made = image_codec(name, HOW, {"quality": "50"})
    picture = torch.randint(0, 256, (1, 96, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    encoded = made.encode_pictures("image", picture.numpy())  # type: ignore[attr-defined]
    at = position % len(encoded.data)
    damaged = encoded.data[:at] if cut else encoded.data[:at] + bytes([value]) + encoded.data[at + 1 :]
    with suppress(InvalidRequest):
        assert made.decode(replace(encoded, data=damaged)).shape == (1, 3, 96, 96)
