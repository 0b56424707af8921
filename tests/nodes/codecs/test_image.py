"""Image codecs: bit-equal to preprocessing on the edge, and unmoved by hostile bytes."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import InvalidPlan, InvalidRequest, NotFound
from nodes.codecs.base import EncodedTensor
from nodes.codecs.factory import IMAGE_CODEC_NAMES, image_codec
from nodes.codecs.image import PngCodec, WebpCodec
from nodes.preprocessing import ImageBatch, pictures, preprocess
from partitioner.spec import ImagePreprocessing

SMALL = ImagePreprocessing(32, 32, 40, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def small_file() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", IMAGE_CODEC_NAMES)
def test_decoding_equals_preprocessing_here(name: str, photos: dict[str, bytes]) -> None:
    images, spec = ImageBatch(tuple(photos.values())), ImagePreprocessing(224, 224, 256)
    codec = image_codec(name, spec)
    assert torch.equal(codec.decode(codec.encode_images("image", images)), preprocess(images, spec))


@pytest.mark.parametrize("name", IMAGE_CODEC_NAMES)
def test_no_items_make_an_empty_batch(name: str) -> None:
    codec = image_codec(name, SMALL)
    assert codec.decode(codec.encode_images("image", ImageBatch(()))).shape == (0, 3, 32, 32)


def test_a_file_crosses_byte_by_byte() -> None:
    file = small_file()
    assert image_codec("file", SMALL).encode_images("image", ImageBatch((file,))).data[4:] == file


def test_pictures_that_are_there_already_are_not_made_again() -> None:
    images, codec = ImageBatch((small_file(),)), PngCodec(SMALL)
    assert codec.encode_pictures("image", pictures(images, SMALL)) == codec.encode_images("image", images)


def test_webp_is_smaller_than_png_on_photos(photos: dict[str, bytes]) -> None:
    images, spec = ImageBatch((photos["coffee"],)), ImagePreprocessing(224, 224, 256)
    sizes = [len(kind(spec).encode_images("image", images).data) for kind in (WebpCodec, PngCodec)]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("name", IMAGE_CODEC_NAMES)
def test_encoding_what_is_no_image_names_the_item(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"photo\[1\]: is not an image"):
        image_codec(name, SMALL).encode_images("photo", ImageBatch((small_file(), b"not an image")))


@pytest.mark.parametrize("name", IMAGE_CODEC_NAMES)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_damaged_message_decodes_or_raises_our_error(name: str, position: int, value: int, cut: bool) -> None:
    codec = image_codec(name, SMALL)
    encoded = codec.encode_images("image", ImageBatch((small_file(),)))
    at = position % len(encoded.data)
    damaged = encoded.data[:at] if cut else encoded.data[:at] + bytes([value]) + encoded.data[at + 1 :]
    with suppress(InvalidRequest):
        assert codec.decode(replace(encoded, data=damaged)).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("name", IMAGE_CODEC_NAMES)
@given(data=st.binary(max_size=100), items=st.integers(-1, 2**40))
@settings(max_examples=60, deadline=None)
def test_garbage_is_refused(name: str, data: bytes, items: int) -> None:
    message = EncodedTensor("image", "float32", (items, 3, 32, 32), (), name, {}, data)
    if items == 0 and not data:
        return
    with pytest.raises(InvalidRequest):
        image_codec(name, SMALL).decode(message)


@pytest.mark.parametrize("name", ["png", "webp"])
def test_a_picture_of_another_size_is_refused(name: str) -> None:
    larger = replace(SMALL, height=40, width=40)
    encoded = image_codec(name, larger).encode_images("image", ImageBatch((small_file(),)))
    with pytest.raises(InvalidRequest, match=r"image\[0\]: must be RGB"):
        image_codec(name, SMALL).decode(replace(encoded, shape=(1, 3, 32, 32)))


@pytest.mark.parametrize(
    "change", [{"shape": (1, 3, 16, 16)}, {"dtype": "uint8"}, {"stride_order": (3, 2, 1, 0)}, {"shape": (1,)}]
)
def test_a_header_that_does_not_fit_the_model_is_refused(change: dict[str, object]) -> None:
    encoded = image_codec("file", SMALL).encode_images("image", ImageBatch((small_file(),)))
    with pytest.raises(InvalidRequest):
        image_codec("file", SMALL).decode(replace(encoded, **change))  # type: ignore[arg-type]


def test_the_limit_holds_for_images() -> None:
    encoded = image_codec("file", SMALL).encode_images("image", ImageBatch((small_file(),)))
    with pytest.raises(InvalidRequest, match="more than 100 bytes"):
        image_codec("file", SMALL).decode(encoded, max_bytes=100)


def test_unknown_image_codecs_and_parameters_are_refused() -> None:
    with pytest.raises(NotFound, match="file, png, webp"):
        image_codec("tiff", SMALL)
    with pytest.raises(InvalidPlan, match="quality"):
        image_codec("png", SMALL, {"quality": "90"})
