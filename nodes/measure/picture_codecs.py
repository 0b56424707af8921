"""Pictures of a model's input, measured on its calibration inputs: their bytes, and what lossy ones do to answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from nodes.codecs.image import PictureCodec
from nodes.codecs.lossy_image import LOSSY_FORMATS, LossyPictureCodec
from nodes.measure.calibration_items import CalibrationItems, Crossed
from nodes.measure.codec_sizes import MeasuredCodec
from nodes.preprocessing import Pictures
from partitioner.plan import TensorCodec
from partitioner.spec import ImagePreprocessing

__all__ = ["QUALITIES", "as_pictures", "lossless_picture", "lossy_pictures", "through_pictures"]

QUALITIES = ("75", "90", "100")
"""Of every lossy format, the smallest file first."""

_LEVELS = 255.0


def lossy_pictures(
    items: CalibrationItems, tensor: str, how: ImagePreprocessing, budget: float
) -> Iterator[MeasuredCodec]:
    """Each lossy format at the lowest of `QUALITIES` whose answers are within `budget`, if there is one.

    items: at the cut that leaves the edge nothing. Takes seconds a format: the whole model runs for each.
    """
    batch = as_pictures(items.values(tensor), how)
    for name in LOSSY_FORMATS:
        for quality in QUALITIES:
            made = LossyPictureCodec(name, how, {"quality": quality})
            crossed = through_pictures(tensor, batch, made)
            found = MeasuredCodec.of(items, tensor, made, crossed, items.quality({tensor: crossed.values}))
            if found.loss <= budget:
                yield found
                break


def lossless_picture(values: torch.Tensor, tensor: str, made: PictureCodec, how: ImagePreprocessing) -> TensorCodec:
    """`tensor` in that codec as a plan holds it: the mean length of the pictures behind `values`, and their spread.

    A photo's length says little of the next one's: 49 to 81 kB for four photos of 224 x 224 in lossless WebP.
    """
    sizes = np.array([len(made.encode_pictures(tensor, one[None]).data) for one in as_pictures(values, how)])
    return TensorCodec(tensor, made.name, made.parameters, round(float(sizes.mean())), round(float(sizes.std())))


def through_pictures(tensor: str, batch: Pictures, made: PictureCodec) -> Crossed:
    """The input `tensor` of every item, as pictures of the model's size, through `made`."""
    return Crossed.of([one[None] for one in batch], partial(made.encode_pictures, tensor), made)


def as_pictures(values: torch.Tensor, how: ImagePreprocessing) -> Pictures:
    """The pictures that the numeric stage of preprocessing made `values` of."""
    mean, std = (torch.tensor(part, dtype=torch.float64).view(3, 1, 1) for part in (how.mean, how.std))
    pixels = ((values.double() * std + mean) / how.scale).round().clamp(0, _LEVELS)
    return pixels.permute(0, 2, 3, 1).to(torch.uint8).contiguous().numpy()
