"""Lossy pictures of an input that declares preprocessing: JPEG, WebP and AVIF at a quality that the plan states.

What an accuracy budget allows of them is measured, as for every lossy codec (`nodes/measure/picture_codecs.py`). On
efficientnet-lite0 only lossless pictures keep 98 % of the answers (`benchmarks/codec_tournament.py`); they are here
because other models bear more.
Colour is kept at full resolution, but by WebP, which cannot.
"""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.errors import InvalidPlan
from nodes.codecs.image import PictureCodec
from partitioner.spec import ImagePreprocessing

__all__ = ["LOSSY_FORMATS", "LossyPictureCodec", "save_options"]

LOSSY_FORMATS: Mapping[str, str] = {"jpeg": "JPEG", "webp-lossy": "WEBP", "avif": "AVIF"}
"""Pillow's format for the name of each codec."""

_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "JPEG": {"subsampling": "4:4:4", "optimize": True},
    "WEBP": {"method": 4},
    "AVIF": {"subsampling": "4:4:4", "speed": 8, "max_threads": 1},
}


class LossyPictureCodec(PictureCodec):
    """One of `LOSSY_FORMATS`, with the parameter "quality": 1 to 100."""

    lossless = False

    def __init__(self, name: str, preprocessing: ImagePreprocessing, parameters: Mapping[str, str]) -> None:
        """Raises InvalidPlan for a quality that is none and for other parameters."""
        if set(parameters) != {"quality"}:
            raise InvalidPlan(f"codec {name}", 'takes the parameter "quality" only', value=sorted(parameters))
        form = LOSSY_FORMATS[name]
        super().__init__(preprocessing, form, save_options(form, parameters["quality"]))
        self.name, self.parameters = name, dict(parameters)


def save_options(form: str, quality: str) -> Mapping[str, object]:
    """How Pillow writes that format at that quality. Raises InvalidPlan for one that is not a number from 1 to 100."""
    if not (quality.isascii() and quality.isdigit() and 1 <= int(quality[:4]) <= 100 and quality[0] != "0"):
        raise InvalidPlan("codec quality", "must be a number from 1 to 100", value=quality[:20])
    return {**_OPTIONS[form], "quality": int(quality)}
