"""What real photos take on the wire at a network's size, and how long coding them takes on this machine."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.networks import PREPROCESSING, SIDE
from benchmarks.published import RAW_PICTURE_BYTES
from isthmus.zoo import calibration_photos, demo_photos
from nodes.codecs.image import PngCodec, WebpCodec
from nodes.measure.picture_codecs import lossless_picture
from nodes.measure.timing import measure
from nodes.preprocessing import ImageBatch, pictures
from partitioner.codec_choice import DEFAULT_CODECS, CodecSize
from partitioner.cost_model import Costing, FileFacts
from partitioner.measurements import CodecRate
from partitioner.model import Model
from partitioner.plan import TensorCodec
from partitioner.profiles import DeviceProfile

__all__ = ["PictureCodecs", "calibrated_pictures", "measure_picture_codecs", "photo_sizes"]

JPEG, QUALITY = "jpeg", 95
TENSOR_BYTES = 4 * 3 * SIDE * SIDE


@dataclass(frozen=True, slots=True)
class PictureCodecs:
    """sizes: mean bytes of a photo cropped to 224 x 224, by codec; "file" is the photo's own file."""

    sizes: Mapping[str, float]

    def costing(self, world: str) -> Costing:
        """What may cross in that world. The request brings the raw picture: it stands in for a file, undecoded."""
        features = [size for size in DEFAULT_CODECS if size.applies_to != "picture"]
        codecs = {
            "float32": features[:1],
            "pixels": features[:1],
            "lossless": [*features, *(self._size(name, True) for name in ("png", "webp"))],
            "lossy": [*features, self._size("webp", True), self._size(JPEG, False)],
        }
        file = FileFacts(TENSOR_BYTES if world == "float32" else RAW_PICTURE_BYTES, SIDE * SIDE)
        return Costing("bytes", tuple(codecs[world]), lossless=world != "lossy", file=file)

    def _size(self, codec: str, lossless: bool) -> CodecSize:
        return CodecSize(codec, self.sizes[codec] / TENSOR_BYTES, lossless, "measured on photos", "picture")


def measure_picture_codecs(profile: DeviceProfile) -> tuple[PictureCodecs, DeviceProfile]:
    """Sizes on all photos of the zoo, and `profile` with JPEG's rates and without the decoding of files."""
    files = [path.read_bytes() for path in (*demo_photos(), *calibration_photos())]
    crops = [pictures(ImageBatch((file,)), PREPROCESSING, "image") for file in files]
    coded = {codec.name: codec for codec in (PngCodec(PREPROCESSING), WebpCodec(PREPROCESSING))}
    sizes = {name: fmean(len(c.encode_pictures("image", crop).data) for crop in crops) for name, c in coded.items()}
    jpegs = [_jpeg(crop[0]) for crop in crops]
    sizes |= {"raw pixels": RAW_PICTURE_BYTES, JPEG: fmean(map(len, jpegs)), "file": fmean(map(len, files))}
    rates = {**profile.codec_rates, JPEG: _jpeg_rate(crops[0][0], jpegs[0])}
    bare = replace(profile, codec_rates=rates, preprocessing_s_per_pixel=0.0, preprocessing_fixed_s=0.0)
    return PictureCodecs({name: round(size) for name, size in sizes.items()}), bare


def photo_sizes() -> list[Mapping[str, int]]:
    """For each photo of the demo: bytes of its file, and of its 224 x 224 crop as PNG and as WebP."""
    coded = {codec.name: codec for codec in (PngCodec(PREPROCESSING), WebpCodec(PREPROCESSING))}
    files = [path.read_bytes() for path in demo_photos()]
    crops = [pictures(ImageBatch((file,)), PREPROCESSING, "image") for file in files]
    return [
        {"file": len(file), **{name: len(c.encode_pictures("image", crop).data) for name, c in coded.items()}}
        for file, crop in zip(files, crops, strict=True)
    ]


def calibrated_pictures(model: Model) -> Mapping[str, TensorCodec]:
    """What an edge expects of PNG and WebP: the mean of the calibration pictures, none of them the demo's, and their
    spread. Nothing for a model without such."""
    how = model.interface.inputs[0].preprocessing
    if how is None or not model.calibration:
        return {}
    name, values = model.graph.inputs[0], model.calibration[0]
    return {made.name: lossless_picture(values, name, made(how), how) for made in (PngCodec, WebpCodec)}


def _jpeg(picture: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _decoded(data: bytes) -> object:
    return np.asarray(Image.open(io.BytesIO(data)), np.float32)


def _jpeg_rate(picture: Any, data: bytes) -> CodecRate:
    encode_s = measure(partial(_jpeg, picture)).seconds
    decode_s = measure(partial(_decoded, data)).seconds
    return CodecRate(encode_s / TENSOR_BYTES, 0.0, decode_s / TENSOR_BYTES, 0.0)
