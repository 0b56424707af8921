"""The pictures' side of the tournament: the input itself in picture formats, lossless and lossy."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from benchmarks.tournament_items import BATCH, Items, Row
from nodes.codecs.factory import image_codec
from nodes.codecs.image import PictureCodec
from nodes.measure.timing import measure
from partitioner.spec import ImagePreprocessing

__all__ = ["jpeg_files", "lossless_rows", "lossy_row"]

Pictures = npt.NDArray[np.uint8]


def lossless_rows(items: Items, pictures: Pictures, preprocessing: ImagePreprocessing, webp_effort: int) -> list[Row]:
    """PNG and lossless WebP as the nodes use them, and as small as they get; webp_effort: 100 takes a second each."""
    smallest: Mapping[str, tuple[str, Mapping[str, object]]] = {
        "png, smallest": ("PNG", {"optimize": True}),
        f"webp lossless, effort {webp_effort}": ("WEBP", {"lossless": True, "quality": webp_effort, "method": 6}),
    }
    rows = []
    for name in ("png", "webp"):
        made = image_codec(name, preprocessing)
        assert isinstance(made, PictureCodec)
        rows.append(_row(items, pictures, f"{name}, quick", made, items.outputs))
    for name, (form, options) in smallest.items():
        rows.append(_row(items, pictures, name, PictureCodec(preprocessing, form, options), items.outputs))
    return rows


def lossy_row(items: Items, pictures: Pictures, preprocessing: ImagePreprocessing, name: str, quality: int) -> Row:
    """One lossy format at one quality: the whole model runs on what is decoded."""
    made = image_codec(name, preprocessing, {"quality": str(quality)})
    assert isinstance(made, PictureCodec)
    outputs = []
    for start in range(0, len(pictures), BATCH):
        decoded = made.decode(made.encode_pictures("image", pictures[start : start + BATCH]))
        with torch.inference_mode():
            outputs.append(items.model(decoded)[0])
    return _row(items, pictures, f"{name} q{quality}", made, torch.cat(outputs))


def _row(items: Items, pictures: Pictures, name: str, made: PictureCodec, outputs: torch.Tensor) -> Row:
    size = np.array([len(made.encode_pictures("image", one[None]).data) for one in pictures], np.int64)
    encoded = made.encode_pictures("image", pictures[:1])
    return Row(
        name,
        "input",
        "picture",
        size,
        outputs,
        items.mean_bytes(size),
        items.quality(outputs),
        1e3 * measure(partial(made.encode_pictures, "image", pictures[:1])).seconds,
        1e3 * measure(partial(made.decode, encoded)).seconds,
        0,
    )


def jpeg_files(pictures: Pictures, quality: int) -> float:
    """Mean bytes of the pictures as JPEG files as cameras and browsers write them (4:2:0)."""
    total = 0
    for one in pictures:
        buffer = io.BytesIO()
        Image.fromarray(one).save(buffer, "JPEG", quality=quality)
        total += buffer.tell()
    return total / len(pictures)
