"""From files to tensors: the pixels that a reference pipeline gives, upright, opaque, and bounded."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isthmus.errors import InvalidRequest
from nodes.preprocessing import ImageBatch, normalise, picture, pictures, preprocess
from partitioner.spec import ImagePreprocessing

SPEC = ImagePreprocessing(224, 224, 256, mean=(0.498, 0.498, 0.498), std=(0.502, 0.502, 0.502))
TINY = ImagePreprocessing(4, 4, 4)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100))
    chunks = (struct.pack(">I", len(b) - 4) + b + struct.pack(">I", zlib.crc32(b)) for b in (body, data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket", "flower", "china"])
def test_pixels_equal_resize_then_crop(name: str, photos: dict[str, bytes]) -> None:
    image = Image.open(io.BytesIO(photos[name])).convert("RGB")
    scale = 256 / min(image.size)
    resized = image.resize(
        (int(image.width * scale + 1e-9), int(image.height * scale + 1e-9)), Image.Resampling.BICUBIC
    )
    left, top = round((resized.width - 224) / 2), round((resized.height - 224) / 2)
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)))
    assert np.array_equal(picture(photos[name], SPEC), expected)


def test_the_numeric_stage_scales_and_normalises() -> None:
    batch = np.array([0, 128, 255], np.uint8).reshape(1, 1, 1, 3)
    expected = (torch.tensor([0.0, 128.0, 255.0]) / 255 - 0.498) / 0.502
    assert torch.allclose(normalise(batch, SPEC).flatten(), expected, atol=1e-6)


def test_the_tensor_is_contiguous_float32(photos: dict[str, bytes]) -> None:
    tensor = preprocess(ImageBatch((photos["chelsea"], photos["china"])), SPEC)
    assert tensor.shape == (2, 3, 224, 224)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()


def test_an_item_is_the_same_in_every_batch(photos: dict[str, bytes]) -> None:
    files = tuple(photos.values())
    alone = torch.cat([preprocess(ImageBatch((file,)), SPEC) for file in files])
    assert torch.equal(preprocess(ImageBatch(files), SPEC), alone)


def test_no_files_make_an_empty_batch() -> None:
    assert pictures(ImageBatch(()), TINY).shape == (0, 4, 4, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_comes_out_upright(orientation: int) -> None:
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    file = saved(stored, "PNG", exif=exif)
    assert np.array_equal(picture(file, ImagePreprocessing(8, 8, 8)), np.asarray(upright))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "JPEG"])
def test_every_common_format_is_read(kind: str) -> None:
    made = picture(saved(Image.new("RGB", (8, 8), (255, 0, 0)), kind), TINY)
    assert np.abs(made.astype(int) - [255, 0, 0]).max() <= 2


def test_transparent_parts_are_white() -> None:
    assert (picture(saved(Image.new("RGBA", (8, 8), (10, 20, 30, 0)), "PNG"), TINY) == 255).all()


def test_an_opaque_alpha_changes_nothing() -> None:
    assert (picture(saved(Image.new("RGBA", (8, 8), (10, 20, 30, 255)), "PNG"), TINY) == [10, 20, 30]).all()


def test_palette_pictures_become_rgb() -> None:
    image = Image.new("RGB", (8, 8), (0, 255, 0)).convert("P")
    assert (picture(saved(image, "PNG"), TINY) == [0, 255, 0]).all()


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    image = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
    assert (picture(saved(image, "PNG"), TINY) == 128).all()


def test_cmyk_photos_become_rgb() -> None:
    assert picture(saved(Image.new("CMYK", (8, 8)), "JPEG"), TINY).shape == (4, 4, 3)


@pytest.mark.parametrize("kept", [0, 1, 20, 500, 5000, 100_000])
def test_a_truncated_jpeg_is_refused_by_name(kept: int, photos: dict[str, bytes]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        preprocess(ImageBatch((photos["rocket"], photos["rocket"][:kept])), SPEC, "photo")
    assert caught.value.field == "photo[1]"


@pytest.mark.parametrize("data", [b"", b"hello", bytes(1000), b"%PDF-1.4", b"II*\0" + bytes(100)])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="is not an image"):
        picture(data, TINY)


@pytest.mark.parametrize(("width", "height"), [(8001, 8000), (20_000, 20_000), (2**31 - 1, 1)])
def test_a_picture_with_too_many_pixels_is_refused(width: int, height: int) -> None:
    with pytest.raises(InvalidRequest, match="more than 64000000 pixels"):
        picture(png_header(width, height), TINY)


def test_a_sliver_that_would_blow_up_in_resizing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="too long"):
        picture(saved(Image.new("RGB", (60_000, 1)), "PNG"), ImagePreprocessing(2000, 2000, 2000))


@given(
    position=st.integers(0, 100_000), value=st.integers(0, 255), kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"])
)
@settings(max_examples=150, deadline=None)
def test_damaged_files_give_a_picture_or_our_error(position: int, value: int, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    file = bytearray(saved(Image.fromarray(noise), kind))
    file[position % len(file)] = value
    with suppress(InvalidRequest):
        assert picture(bytes(file), TINY).shape == (4, 4, 3)
