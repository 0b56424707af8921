"""Codecs by name: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from isthmus.errors import InvalidPlan, NotFound
from nodes.codecs.base import Codec, ImageCodec
from nodes.codecs.image import FileCodec, PngCodec, WebpCodec
from nodes.codecs.linear import LINEAR_BITS, LinearCodec
from nodes.codecs.lossy_image import LOSSY_FORMATS, LossyPictureCodec
from nodes.codecs.lz4 import Lz4Codec
from nodes.codecs.raw import RawCodec
from nodes.codecs.tiled import TiledCodec
from nodes.codecs.transform import TransformCodec
from nodes.codecs.zstd import ZstdCodec
from partitioner.spec import ImagePreprocessing

__all__ = [
    "CALIBRATED_CODEC_NAMES",
    "CODEC_NAMES",
    "IMAGE_CODEC_NAMES",
    "LOSSLESS_CODEC_NAMES",
    "LOSSY_IMAGE_CODEC_NAMES",
    "codec",
    "encodes_images",
    "image_codec",
]


Parameters = Mapping[str, str]

_PLAIN_CODECS: Mapping[str, Callable[[], Codec]] = {"raw": RawCodec, "zstd": ZstdCodec, "lz4": Lz4Codec}
_TUNED_CODECS: Mapping[str, Callable[[Parameters], Codec]] = {
    **{f"int{bits}": partial(LinearCodec, bits) for bits in LINEAR_BITS},
    TiledCodec.name: TiledCodec,
    TransformCodec.name: TransformCodec,
}
_IMAGE_CODECS: Mapping[str, Callable[[ImagePreprocessing], ImageCodec]] = {
    "file": FileCodec,
    "png": PngCodec,
    "webp": WebpCodec,
}

CODEC_NAMES = (*_PLAIN_CODECS, *_TUNED_CODECS)
CALIBRATED_CODEC_NAMES = (TiledCodec.name, TransformCodec.name)
"""Those that cannot be made without parameters."""

IMAGE_CODEC_NAMES = tuple(_IMAGE_CODECS)
LOSSY_IMAGE_CODEC_NAMES = tuple(LOSSY_FORMATS)
LOSSLESS_CODEC_NAMES = (*_PLAIN_CODECS, *IMAGE_CODEC_NAMES)


def encodes_images(name: str) -> bool:
    """Whether the codec of that name takes image files rather than tensors."""
    return name in _IMAGE_CODECS or name in LOSSY_FORMATS


def codec(name: str, parameters: Mapping[str, str] | None = None) -> Codec:
    """The tensor codec of that name.

    Raises NotFound for an unknown name, InvalidPlan for an image codec and for parameters that it does not have.
    """
    if encodes_images(name):
        raise InvalidPlan("codec", "encodes image files, not tensors", value=name, remedy="use image_codec")
    if name in _TUNED_CODECS:
        return _TUNED_CODECS[name](parameters or {})
    if name not in _PLAIN_CODECS:
        raise NotFound(f"codec: there is no {name!r}; use one of {', '.join(CODEC_NAMES)}")
    _check_parameters(name, parameters)
    return _PLAIN_CODECS[name]()


def image_codec(
    name: str, preprocessing: ImagePreprocessing, parameters: Mapping[str, str] | None = None
) -> ImageCodec:
    """The image codec of that name, for an input with that preprocessing (declared by the model on both sides).

    Raises NotFound for an unknown name, InvalidPlan for parameters that it does not have.
    """
    if name in LOSSY_FORMATS:
        return LossyPictureCodec(name, preprocessing, parameters or {})
    if name not in _IMAGE_CODECS:
        known = ", ".join((*IMAGE_CODEC_NAMES, *LOSSY_IMAGE_CODEC_NAMES))
        raise NotFound(f"image codec: there is no {name!r}; use one of {known}")
    _check_parameters(name, parameters)
    return _IMAGE_CODECS[name](preprocessing)


def _check_parameters(name: str, given: Mapping[str, str] | None) -> None:
    if given:
        raise InvalidPlan(f"codec {name}", "has no such parameter", value=min(given), remedy="leave it out")
