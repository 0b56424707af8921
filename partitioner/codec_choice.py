"""Which codec one tensor takes on one link: the quickest of those allowed.

Sizes are data: a ratio for each codec, with its provenance ("assumed" until somebody measured it on real tensors).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from isthmus.errors import InvalidInput
from partitioner.graph import TensorInfo
from partitioner.linear_size import linear_bytes
from partitioner.measurements import CodecRate
from partitioner.plan import TensorCodec

__all__ = [
    "AS_RATED",
    "DEFAULT_CODECS",
    "FILE_CODEC",
    "CodecEffort",
    "CodecQuote",
    "CodecSize",
    "quickest_codec",
    "quotes_for",
    "sizes_allowed",
]

FILE_CODEC = "file"
"""An input's file crosses as it arrived."""

_FLOATING = ("float16", "bfloat16", "float32", "float64")
_ASSUMED = "assumed"
_LINEAR = "a byte an element, and 8 bytes of scales a channel"
_FREE = CodecRate(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class CodecEffort:
    """How many times as long coding a tensor takes as a device's rates say, each way.

    Rates are of samples and of one setting of a codec; what its parameters and a tensor's contents make of that is
    about the same on every device.
    """

    encode: float = 1.0
    decode: float = 1.0

    def __post_init__(self) -> None:
        for name in ("encode", "decode"):
            factor = getattr(self, name)
            if not (math.isfinite(factor) and factor > 0):
                raise InvalidInput(f"effort to {name}", "must be above zero", value=factor)


AS_RATED = CodecEffort()
"""Of what nobody timed."""


@dataclass(frozen=True, slots=True)
class CodecSize:
    """What a codec makes of a tensor: ratio * bytes + fixed_bytes on the wire, or with element_bits that many an
    element and a linear codec's scales, whatever the dtype.

    applies_to: every tensor, floating point ones, or pictures (an input that declares preprocessing, sent as a file).
    parameters: what both sides must agree on. provenance: where the ratio comes from. tensor: the only one that this is
    about, "" for any; what was measured on a tensor stands before what holds for any. spread: the standard deviation of
    one item's bytes, as a share of the mean. effort: to code it.
    """

    codec: str
    ratio: float
    lossless: bool
    provenance: str
    applies_to: Literal["all", "floating", "picture"] = "all"
    fixed_bytes: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    tensor: str = ""
    spread: float = 0.0
    effort: CodecEffort = AS_RATED
    element_bits: int = 0

    def __post_init__(self) -> None:
        if not (0.0 <= self.ratio < 1e6 and 0.0 <= self.spread < 1e6) or self.fixed_bytes < 0:
            raise InvalidInput(f"size of codec {self.codec!r}", "must be zero or more", value=self.ratio)

    def wire_bytes(self, tensor_bytes: int) -> int:
        """Expected bytes on the wire of a tensor of that many bytes."""
        return round(self.ratio * tensor_bytes) + self.fixed_bytes

    def bytes_of(self, tensor: TensorInfo, batch: int) -> int:
        """Expected bytes on the wire of `tensor` for so many items."""
        if self.element_bits == 0:
            return self.wire_bytes(tensor.bytes_at(batch))
        return linear_bytes(tuple(one.at(batch) for one in tensor.shape), self.element_bits)

    @property
    def is_assumed(self) -> bool:
        """Whether nothing but experience with other tensors says so."""
        return self.provenance.startswith(_ASSUMED)


DEFAULT_CODECS: tuple[CodecSize, ...] = (
    CodecSize("raw", 1.0, True, "exact"),
    CodecSize("zstd", 0.9, True, f"{_ASSUMED}: float32 activations hardly compress"),
    CodecSize("int8", 0.25, False, f"of float32: {_LINEAR}", applies_to="floating", element_bits=8),
    CodecSize("png", 0.14, True, f"{_ASSUMED}: 83 kB for 3x224x224 float32", applies_to="picture"),
    CodecSize("webp", 0.11, True, f"{_ASSUMED}: 67 kB for 3x224x224 float32, mean of ten photos", applies_to="picture"),
)
"""In order of preference where two are equally quick."""


@dataclass(frozen=True, slots=True)
class CodecQuote:
    """What it takes to move one tensor of a request with one codec: expected bytes, and seconds of each stage.

    item_bytes: what a request of one item would send; `wire_bytes` and the times are of all items.
    """

    size: CodecSize
    wire_bytes: int
    item_bytes: int
    encode_s: float
    transfer_s: float
    decode_s: float

    @property
    def total_s(self) -> float:
        """Encoding, transfer and decoding."""
        return self.encode_s + self.transfer_s + self.decode_s

    def loaded(self, encoder_load: float, decoder_load: float) -> CodecQuote:
        """The quote where the two devices are that many times slower than idle."""
        return replace(self, encode_s=self.encode_s * encoder_load, decode_s=self.decode_s * decoder_load)

    def named(self, tensor: str) -> TensorCodec:
        """The codec of `tensor` in a plan, which holds one item's bytes."""
        spread_bytes = round(self.size.spread * self.item_bytes)
        return TensorCodec(tensor, self.size.codec, self.size.parameters, self.item_bytes, spread_bytes)


def sizes_allowed(sizes: Iterable[CodecSize], *, lossless: bool) -> tuple[CodecSize, ...]:
    """Those that keep every bit, or all of them when `lossless` is not asked for."""
    return tuple(size for size in sizes if size.lossless or not lossless)


def quotes_for(
    tensor: TensorInfo,
    sizes: Iterable[CodecSize],
    rates: tuple[Mapping[str, CodecRate], Mapping[str, CodecRate]],
    bandwidth_bps: float,
    *,
    picture: bool = False,
    batch: int = 1,
) -> tuple[CodecQuote, ...]:
    """A quote from each codec that takes `tensor` and whose rates are known on both devices (raw is free without).

    rates: of the device that encodes and of the one that decodes. picture: the tensor was made of a file just now.
    """
    size_bytes = tensor.bytes_at(batch)
    quotes = []
    for size in _about(tensor.name, tuple(sizes)):
        encoder, decoder = (device.get(size.codec, _FREE if size.codec == "raw" else None) for device in rates)
        if encoder is not None and decoder is not None and _takes(size, tensor, picture):
            wire = size.bytes_of(tensor, batch)
            encode_s = encoder.encode_s(size_bytes) * size.effort.encode
            decode_s = decoder.decode_s(size_bytes) * size.effort.decode
            item = size.bytes_of(tensor, 1)
            quotes.append(CodecQuote(size, wire, item, encode_s, wire * 8.0 / bandwidth_bps, decode_s))
    return tuple(quotes)


def _about(tensor: str, sizes: tuple[CodecSize, ...]) -> Iterator[CodecSize]:
    """Those that are about `tensor`, and of the general ones those whose codec was not measured on it."""
    measured = {size.codec for size in sizes if size.tensor == tensor}
    return (size for size in sizes if size.tensor == tensor or (not size.tensor and size.codec not in measured))


def quickest_codec(quotes: tuple[CodecQuote, ...], tensor: str) -> CodecQuote:
    """The quickest quote; the first of equals. Raises InvalidInput when there is none."""
    if not quotes:
        raise InvalidInput("codecs", f"none of them can carry {tensor!r}", remedy="allow raw, or measure codec rates")
    return min(quotes, key=lambda quote: quote.total_s)


def _takes(size: CodecSize, tensor: TensorInfo, picture: bool) -> bool:
    if size.applies_to == "picture":
        return picture
    return size.applies_to == "all" or tensor.dtype in _FLOATING
