"""How far coding a real tensor is from what a device's rates say of its codec.

A codec was timed here on the calibration items that it was measured on. The plan may run on two other devices, of which
the rates are known: of samples, pictures at quality 90, a table for made-up activations. So what is carried over is the
ratio of the real tensor's time to a sample's of its size, both taken here.
"""

from __future__ import annotations

import functools
from dataclasses import replace

from nodes.codecs.factory import encodes_images
from nodes.measure.codec_rates import RATED_CODEC_NAMES, codec_sample
from nodes.measure.codec_sizes import MeasuredCodec
from nodes.measure.one_thread import one_thread
from partitioner.codec_choice import AS_RATED, CodecEffort, CodecSize
from partitioner.spec import ImagePreprocessing

__all__ = ["codec_effort", "size_with_effort"]

_BUDGET_S = 0.01


def size_with_effort(measured: MeasuredCodec, how: ImagePreprocessing | None = None) -> CodecSize:
    """As the solver takes it, with what coding took here. how: of the input, where it may be a picture."""
    effort, size = codec_effort(measured, how), measured.size
    if effort == AS_RATED:
        return size
    said = f"{size.provenance}, there and back in {effort.encode:.2g} and {effort.decode:.2g} of a sample's time"
    return replace(size, provenance=said, effort=effort)


def codec_effort(measured: MeasuredCodec, how: ImagePreprocessing | None = None) -> CodecEffort:
    """What the items took over what a sample takes now, both on one thread."""
    name = measured.codec.name
    if name not in RATED_CODEC_NAMES:
        return AS_RATED
    encode_s, decode_s = _sample_seconds(name, measured.item_bytes, how if encodes_images(name) else None)
    return CodecEffort(measured.encode_s / encode_s, measured.decode_s / decode_s)


@functools.cache
def _sample_seconds(name: str, size_bytes: int, how: ImagePreprocessing | None) -> tuple[float, float]:
    """Of this machine, taken once a process: many tensors are as large as another."""
    sample = codec_sample(name, size_bytes, how)
    with one_thread():
        encode, decode = sample.times(_BUDGET_S)
    scale = size_bytes / sample.size_bytes
    return encode.seconds * scale, decode.seconds * scale
