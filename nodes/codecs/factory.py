"""Codecs by name: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from isthmus.errors import InvalidPlan, NotFound
from nodes.codecs.base import Codec, ImageCodec
from nodes.codecs.image import FileCodec, PngCodec, WebpCodec
from nodes.codecs.linear import LINEAR_BITS, LinearCodec
from nodes.codecs.lz4 import Lz4Codec
from nodes.codecs.raw import RawCodec
from nodes.codecs.transform import TransformCodec
from nodes.codecs.zstd import ZstdCodec
from partitioner.spec import ImagePreprocessing

__all__ = ["CALIBRATED_CODEC_NAMES", "CODEC_NAMES", "IMAGE_CODEC_NAMES", "LOSSLESS_CODEC_NAMES", "codec", "image_codec"]


Parameters = Mapping[str, str]

_PLAIN_CODECS: Mapping[str, Callable[[], Codec]] = {"raw": RawCodec, "zstd": ZstdCodec, "lz4": Lz4Codec}
_TUNED_CODECS: Mapping[str, Callable[[Parameters], Codec]] = {
    **{f"int{bits}": partial(LinearCodec, bits) for bits in LINEAR_BITS},
    TransformCodec.name: TransformCodec,
}
_IMAGE_CODECS: Mapping[str, Callable[[ImagePreprocessing], ImageCodec]] = {
    "file": FileCodec,
    "png": PngCodec,
    "webp": WebpCodec,
}

CODEC_NAMES = (*_PLAIN_CODECS, *_TUNED_CODECS)
CALIBRATED_CODEC_NAMES = (TransformCodec.name,)
"""Those that cannot be made without parameters."""

IMAGE_CODEC_NAMES = tuple(_IMAGE_CODECS)
LOSSLESS_CODEC_NAMES = (*_PLAIN_CODECS, *IMAGE_CODEC_NAMES)


def codec(name: str, parameters: Mapping[str, str] | None = None) -> Codec:
    """The tensor codec of that name.

    Raises NotFound for an unknown name, InvalidPlan for an image codec and for parameters that it does not have.
    """
    if name in _IMAGE_CODECS:
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
    if name not in _IMAGE_CODECS:
        raise NotFound(f"image codec: there is no {name!r}; use one of {', '.join(IMAGE_CODEC_NAMES)}")
    _check_parameters(name, parameters)
    return _IMAGE_CODECS[name](preprocessing)


def _check_parameters(name: str, given: Mapping[str, str] | None) -> None:
    if given:
        raise InvalidPlan(f"codec {name}", "has no such parameter", value=min(given), remedy="leave it out")
