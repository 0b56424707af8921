"""The real photos that installed wheels hold, framed as a camera might have framed them.

A framing is a part of the photo with 60 to 100 % of its sides, 256 pixels high or wide at least, so that the model's
preprocessing (shorter side to 256, 224 x 224 of it) never enlarges; half of them are mirrored. Drawings, masks and
photos with a side below 256 are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["PhotoSet", "framings"]

_SKIMAGE = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png",
    "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png",
    "retina.jpg", "rocket.jpg",
)  # fmt: skip
_PLACES = (
    *(("skimage", f"data/{name}") for name in _SKIMAGE),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("ultralytics", "assets/bus.jpg"),
    ("ultralytics", "assets/zidane.jpg"),
)
_SMALLEST, _LEAST_SHARE, _SIZE = 256, 0.6, 224


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """pictures: uint8 (n, 224, 224, 3). groups: the photo of each. colour: of each, whether its photo has colours."""

    pictures: npt.NDArray[np.uint8]
    groups: tuple[int, ...]
    colour: tuple[bool, ...]
    names: tuple[str, ...]


def framings(each: int, seed: int) -> PhotoSet:
    """`each` framings of every photo that is installed."""
    source, pictures, names, colour = np.random.default_rng(seed), [], [], []
    for path in _installed():
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        names.append(path.stem)
        colour.append(_has_colour(photo))
        pictures += [_framing(photo, source) for _ in range(each)]
    groups = tuple(index for index in range(len(names)) for _ in range(each))
    return PhotoSet(np.stack(pictures), groups, tuple(colour[index] for index in groups), tuple(names))


def _installed() -> Iterator[Path]:
    """Paths inside packages, found without importing them."""
    for package, inside in _PLACES:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(folder) / inside).is_file():
                yield path


def _has_colour(photo: Image.Image) -> bool:
    pixels = np.asarray(photo).astype(int)
    return bool(np.ptp(pixels, axis=2).mean() > 1)


def _framing(photo: Image.Image, source: np.random.Generator) -> npt.NDArray[np.uint8]:
    shorter = min(photo.size)
    share = source.uniform(max(_SMALLEST / shorter, _LEAST_SHARE), 1)
    part = _cut(photo, round(photo.width * share), round(photo.height * share), source)
    scale = _SMALLEST / min(part.size)
    size = (max(_SMALLEST, int(part.width * scale)), max(_SMALLEST, int(part.height * scale)))
    picture = _cut(part.resize(size, Image.Resampling.BICUBIC), _SIZE, _SIZE, source)
    mirrored = source.random() < 0.5
    return np.asarray(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else picture)


def _cut(picture: Image.Image, width: int, height: int, source: np.random.Generator) -> Image.Image:
    left, top = (int(source.integers(0, spare + 1)) for spare in (picture.width - width, picture.height - height))
    return picture.crop((left, top, left + width, top + height))
