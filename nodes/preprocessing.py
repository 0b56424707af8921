"""From image files to the tensor that a model takes, in two stages with the model-sized picture between them.

Geometric: decode, resize the shorter side, crop the centre: uint8, height x width x 3. Numeric: scale, normalise, lay
out: float32, N x 3 x height x width. Edge and cloud run the same functions on the same bytes, so it does not matter
to a single bit where either stage runs (given one Pillow and one JPEG library).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from isthmus.errors import InvalidRequest
from nodes.image_files import MAX_PIXELS, rgb_picture
from partitioner.spec import ImagePreprocessing

__all__ = ["ImageBatch", "Pictures", "normalise", "picture", "pictures", "preprocess"]

Pictures = npt.NDArray[np.uint8]
"""Pictures of the model's size: uint8, shape (items, height, width, 3)."""

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Encoded image files as they arrived, one a batch item. Nothing about them is checked yet."""

    files: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.files)

    @property
    def size_bytes(self) -> int:
        """Length of all files together."""
        return sum(map(len, self.files))


def preprocess(images: ImageBatch, preprocessing: ImagePreprocessing, field: str = "image") -> torch.Tensor:
    """Both stages: float32, contiguous, (items, 3, height, width).

    Raises InvalidRequest naming `field` and the item for a file that is not a whole image of bearable size.
    """
    return normalise(pictures(images, preprocessing, field), preprocessing)


def pictures(images: ImageBatch, preprocessing: ImagePreprocessing, field: str = "image") -> Pictures:
    """The geometric stage of every file. Raises InvalidRequest naming `field` and the item."""
    made = [picture(file, preprocessing, f"{field}[{item}]") for item, file in enumerate(images.files)]
    empty = np.empty((0, preprocessing.height, preprocessing.width, 3), np.uint8)
    return np.stack(made) if made else empty


def picture(file: bytes, preprocessing: ImagePreprocessing, field: str = "image") -> Pictures:
    """The geometric stage of one file: uint8, (height, width, 3).

    JPEG's draft mode (decoding at a fraction of the size) is not used: it would change the pixels.
    Raises InvalidRequest naming `field`.
    """
    image = rgb_picture(file, field)
    width, height = _resized_size(image.width, image.height, preprocessing.resize_shorter)
    if width * height > MAX_PIXELS:
        raise InvalidRequest(field, "is too long for its width", value=image.size, remedy="crop it first")
    resized = image.resize((width, height), _FILTERS[preprocessing.resample])
    left, top = round((width - preprocessing.width) / 2), round((height - preprocessing.height) / 2)
    return np.asarray(resized.crop((left, top, left + preprocessing.width, top + preprocessing.height)))


def normalise(batch: Pictures, preprocessing: ImagePreprocessing) -> torch.Tensor:
    """The numeric stage: (value * scale - mean) / std in float32, contiguous, (items, 3, height, width)."""
    planes = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
    values = torch.from_numpy(planes).to(torch.float32)
    mean, std = (torch.tensor(v, dtype=torch.float32).view(3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    return values.mul_(preprocessing.scale).sub_(mean).div_(std)


def _resized_size(width: int, height: int, shorter: int) -> tuple[int, int]:
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter
