"""How fast this machine encodes and decodes, and how fast it turns image files into model inputs.

Samples stand for what crosses, each codec at one setting. `nodes.measure.codec_effort` says how far a real tensor, and
the setting that a plan takes, are from that.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from PIL import Image

from nodes.codecs.base import Codec, Decoder, EncodedTensor, ImageCodec
from nodes.codecs.factory import (
    CODEC_NAMES,
    IMAGE_CODEC_NAMES,
    LOSSY_IMAGE_CODEC_NAMES,
    codec,
    encodes_images,
    image_codec,
)
from nodes.codecs.image import PictureCodec
from nodes.codecs.linear import ranges_parameter
from nodes.codecs.tiled import TiledCodec
from nodes.codecs.transform import TransformCodec
from nodes.measure.timing import measure
from nodes.measure.transform_fit import fit_transform
from nodes.preprocessing import ImageBatch, pictures, preprocess
from nodes.sample_inputs import sample_file
from partitioner.affine_fit import affine_time
from partitioner.measurements import AffineTime, CodecRate, Measurement
from partitioner.spec import ImagePreprocessing

__all__ = [
    "RATED_CODEC_NAMES",
    "CodecSample",
    "codec_sample",
    "measure_codec_rates",
    "measure_preprocessing",
    "sample_activation",
]

_SIDES = {"small": (24, 14), "large": (48, 56)}  # channels, height and width: 19 kB and 602 kB of float32
_LONGEST_SIDE = 256  # more places than that no transform's table holds
_PREPROCESSING = ImagePreprocessing(224, 224, 256)
_SCALES = (1, 2)
_SAMPLE_STEP = 0.2
_PICTURE_PARAMETERS = {name: {"quality": "90"} for name in LOSSY_IMAGE_CODEC_NAMES}

RATED_CODEC_NAMES = (*CODEC_NAMES, *IMAGE_CODEC_NAMES, *LOSSY_IMAGE_CODEC_NAMES)
"""The codecs that have a rate."""


@dataclass(frozen=True, slots=True)
class CodecSample:
    """A tensor of `size_bytes`, how to encode it, and who decodes it."""

    size_bytes: int
    encode: Callable[[], EncodedTensor]
    decoder: Decoder

    def times(self, budget_s: float) -> tuple[Measurement, Measurement]:
        """To encode it and to decode it, on the calling thread, for about so long each."""
        encoded = self.encode()
        there = measure(self.encode, budget_s=budget_s, min_repeats=3)
        back = measure(partial(self.decoder.decode, encoded), budget_s=budget_s, min_repeats=3)
        return there, back


def sample_activation(channels: int, size: int) -> torch.Tensor:
    """float32 (1, channels, size, size), smooth and half zero as after a ReLU: compresses as real activations do."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, channels, size + 2, size + 2, generator=generator)
    return torch.relu(torch.nn.functional.avg_pool2d(noise, 3, stride=1))


def measure_codec_rates(budget_s: float = 1.0, names: Collection[str] = RATED_CODEC_NAMES) -> Mapping[str, CodecRate]:
    """Rates of these codecs on the calling thread, per byte of the decoded tensor (float32).

    budget_s: for all of `RATED_CODEC_NAMES`; fewer take their share of it. Tensor codecs are timed on sample
    activations of two sizes. Image codecs are timed on batches of one and two 640 x 480 photos: picture codecs encode
    pictures of the model's size (the geometric stage before is preprocessing, not encoding), the lossy ones at quality
    90, and decode to the tensor; decoding "file" is the whole preprocessing. Tiles are those of a JPEG of quality 90.
    """
    share_s = budget_s / (4 * len(RATED_CODEC_NAMES))
    return {name: _rate(_samples(name), share_s) for name in names}


def measure_preprocessing(budget_s: float = 0.3) -> AffineTime:
    """Seconds from a JPEG file to a 224 x 224 input, over the pixels of the file's picture."""
    seconds: dict[float, float] = {}
    for scale in _SCALES:
        file, pixels = _scaled_sample(scale)
        images = ImageBatch((file,))
        time = measure(partial(preprocess, images, _PREPROCESSING), budget_s=budget_s / len(_SCALES))
        seconds[float(pixels)] = time.seconds
    return affine_time(seconds)


@functools.cache
def _photo() -> bytes:
    return sample_file()


def _scaled_sample(scale: int) -> tuple[bytes, int]:
    image = Image.open(io.BytesIO(_photo()))
    buffer = io.BytesIO()
    image.resize((image.width * scale, image.height * scale)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue(), image.width * image.height * scale**2


def codec_sample(name: str, size_bytes: int, how: ImagePreprocessing | None = None) -> CodecSample:
    """What the rate of that codec is of, at one size: as near to `size_bytes` as its shape allows. how: of the
    pictures, for a codec of such.
    """
    if encodes_images(name):
        return _image_sample(_sample_image_codec(name, how or _PREPROCESSING), how or _PREPROCESSING, 1)
    channels, _ = _SIDES["large"]
    side = min(_LONGEST_SIDE, max(1, round(math.sqrt(size_bytes / 4 / channels))))
    return _tensor_sample(name, sample_activation(channels, side))


def _samples(name: str) -> tuple[CodecSample, ...]:
    if encodes_images(name):
        made = _sample_image_codec(name, _PREPROCESSING)
        return tuple(_image_sample(made, _PREPROCESSING, batch) for batch in (1, 2))
    return tuple(_tensor_sample(name, sample_activation(*side)) for side in _SIDES.values())


def _tensor_sample(name: str, tensor: torch.Tensor) -> CodecSample:
    made = _CALIBRATED[name](tensor) if name in _CALIBRATED else codec(name)
    return CodecSample(tensor.nbytes, partial(made.encode, "sample", tensor), made)


def _sample_image_codec(name: str, how: ImagePreprocessing) -> ImageCodec:
    return image_codec(name, how, _PICTURE_PARAMETERS.get(name))


def _sample_transform(tensor: torch.Tensor) -> Codec:
    """Coded at about three bits an element, as activations are."""
    step = _SAMPLE_STEP * float(tensor.std())
    return TransformCodec({"table": fit_transform(tensor, torch.zeros_like(tensor)).table(step).to_text()})


def _sample_tiles(tensor: torch.Tensor) -> Codec:
    return TiledCodec({"format": "jpeg", "quality": "90", "ranges": ranges_parameter(tensor)})


_CALIBRATED = {TransformCodec.name: _sample_transform, TiledCodec.name: _sample_tiles}


def _image_sample(made: ImageCodec, how: ImagePreprocessing, batch: int) -> CodecSample:
    images, size_bytes = ImageBatch((_photo(),) * batch), 4 * 3 * how.height * how.width * batch
    if isinstance(made, PictureCodec):
        return CodecSample(size_bytes, partial(made.encode_pictures, "sample", pictures(images, how)), made)
    return CodecSample(size_bytes, partial(made.encode_images, "sample", images), made)


def _rate(samples: tuple[CodecSample, ...], budget_s: float) -> CodecRate:
    encode, decode = dict[float, Measurement](), dict[float, Measurement]()
    for sample in samples:
        size = float(sample.size_bytes)
        encode[size], decode[size] = sample.times(budget_s)
    (out, out_spread), (back, back_spread) = _line(encode), _line(decode)
    return CodecRate(out.per_item_s, out.fixed_s, back.per_item_s, back.fixed_s, out_spread, back_spread)


def _line(times: Mapping[float, Measurement]) -> tuple[AffineTime, float]:
    """Through times by bytes, and the most that their repeats were apart."""
    line = affine_time({size: time.seconds for size, time in times.items()})
    return line, max(time.spread_share for time in times.values())
