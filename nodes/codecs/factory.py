"""Codecs by name: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isthmus.errors import InvalidPlan, NotFound
from nodes.codecs.base import Codec, ImageCodec
from nodes.codecs.image import FileCodec, PngCodec, WebpCodec
from nodes.codecs.int8 import Int8Codec
from nodes.codecs.raw import RawCodec
from nodes.codecs.zstd import ZstdCodec
from partitioner.spec import ImagePreprocessing

__all__ = ["CODEC_NAMES", "IMAGE_CODEC_NAMES", "LOSSLESS_CODEC_NAMES", "codec", "image_codec"]


_TENSOR_CODECS: Mapping[str, type[Codec]] = {"raw": RawCodec, "zstd": ZstdCodec, "int8": Int8Codec}
_IMAGE_CODECS: Mapping[str, Callable[[ImagePreprocessing], ImageCodec]] = {
    "file": FileCodec,
    "png": PngCodec,
    "webp": WebpCodec,
}

CODEC_NAMES = tuple(_TENSOR_CODECS)
IMAGE_CODEC_NAMES = tuple(_IMAGE_CODECS)
LOSSLESS_CODEC_NAMES = ("raw", "zstd", *IMAGE_CODEC_NAMES)


def codec(name: str, parameters: Mapping[str, str] | None = None) -> Codec:
    """The tensor codec of that name.

    Raises NotFound for an unknown name, InvalidPlan for an image codec and for parameters that it does not have.
    """
    if name in _IMAGE_CODECS:
        raise InvalidPlan("codec", "encodes image files, not tensors", value=name, remedy="use image_codec")
    if name not in _TENSOR_CODECS:
        raise NotFound(f"codec: there is no {name!r}; use one of {', '.join(CODEC_NAMES)}")
    _check_parameters(name, parameters)
    return _TENSOR_CODECS[name]()


def image_codec(
    name: str, preprocessing: ImagePreprocessing, parameters: Mapping[str, str] | None = None
) -> ImageCodec:
    """The image codec of that name, for an input with that preprocessing (declared by the model on both sides).

    Raises NotFound for an unknown name, InvalidPlan for parameters that it does not have.
    """
    if name not in _IMAGE_CODECS:
        raise NotFound(f"image codec: there is no {name!r}; use one of {', '.join(IMAGE_CODEC_NAMES)}")
    _check_parameters(name, parameters)
    return _IMAGE_CODECS[name](preprocessing)


def _check_parameters(name: str, given: Mapping[str, str] | None) -> None:
    if given:
        raise InvalidPlan(f"codec {name}", "has no such parameter", value=min(given), remedy="leave it out")
