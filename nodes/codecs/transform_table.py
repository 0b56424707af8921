"""What both sides of a transform-coded tensor know beforehand: rotation, steps, scales and probabilities.

A table belongs to a plan, never to a request: it is one of the plan's codec parameters, as text (base64 of one zstd
frame), and so part of its wire digest. Nothing in it is trusted before `from_text` has checked it.

A tensor of shape (items, C, H, W), or (items, H, C) with channels last, is seen as C channels on H x W positions.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import zstandard

from isthmus.errors import InvalidPlan

__all__ = ["EIGHTHS", "LARGEST_NUMBER", "CoderClass", "TransformTable", "channel_grid", "quantised_columns"]

EIGHTHS = 8
"""Scales are counted in eighths of an octave: a scale of n stands for a mean magnitude of 2**(n / 8)."""

LARGEST_NUMBER = 1e9
"""All numbers in a table are below it, so that products of a few stay within float32."""

_MAX_TEXT = 4 << 20
_MAX_CONTENT = 16 << 20
_MAX_CLASSES, _MAX_LEVELS = 64, 1024
# Who reads a table inverts its rotation and makes a matrix for each side that a DCT goes over: seconds and tens of
# megabytes at these sizes, minutes and gigabytes beyond.
_MAX_CHANNELS, _MAX_POSITIONS, _MAX_SIDE, _MAX_COSINE_SIDE = 1536, 1 << 16, (1 << 16) - 1, 1024
_HEADER = struct.Struct("<BBHHHHhB")
_CLASS = struct.Struct("<BBH")
_MAGIC = b"KLT1"
_SCALE_LIMIT = 127
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CoderClass:
    """How the coefficients of one range of scales are coded.

    shift: low bits that are sent as they are. shrink: by how much, in 1/256 steps, a magnitude is decoded below its
    level. counts: how often each magnitude of (level >> shift) was met, 1 or more; the last is for everything above.
    """

    shift: int
    shrink: int
    counts: npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class TransformTable:
    """All that a transform codec agrees on.

    channels_last: where the channels are. cosine: whether positions go through a two-dimensional DCT. mean: (C,).
    synthesis: (C, K), from K components to channels. steps: (H, W), the quantiser's step at each frequency.
    component_scale, position_scale: (K,) and (H, W), whose sum is the expected magnitude of a level in eighths of an
    octave. activity_gain: sixteenths of what the magnitudes seen so far say, added to that scale. first_scale: of the
    first coder class; each class is four eighths wide.
    """

    channels_last: bool
    cosine: bool
    mean: Floats
    synthesis: Floats
    steps: Floats
    component_scale: Integers
    position_scale: Integers
    activity_gain: int
    first_scale: int
    classes: tuple[CoderClass, ...]

    @property
    def item_shape(self) -> tuple[int, ...]:
        """The shape of one item of the tensor."""
        channels, (height, width) = len(self.mean), self.steps.shape
        return (height, channels) if self.channels_last else (channels, height, width)

    def to_text(self) -> str:
        """Base64; `from_text` reads it back equal when the synthesis came from `quantised_columns`."""
        packed = zstandard.ZstdCompressor(level=19).compress(self._content())
        return base64.b64encode(packed).decode("ascii")

    def _content(self) -> bytes:
        scales, integers = _column_scales(self.synthesis)
        height, width = self.steps.shape
        flags = self.channels_last | self.cosine << 1
        sizes = (len(self.mean), self.synthesis.shape[1], height, width)
        head = _HEADER.pack(flags, self.activity_gain, *sizes, self.first_scale, len(self.classes))
        parts = [_MAGIC, head, self.mean.astype("<f4").tobytes(), scales.astype("<f4").tobytes(), integers.tobytes()]
        parts += [self.steps.astype("<f4").tobytes(), self.component_scale.astype("i1").tobytes()]
        parts.append(self.position_scale.astype("i1").tobytes())
        for one in self.classes:
            parts += [_CLASS.pack(one.shift, one.shrink, len(one.counts)), one.counts.astype("<u2").tobytes()]
        return b"".join(parts)

    @classmethod
    def from_text(cls, text: str) -> TransformTable:
        """Raises InvalidPlan for anything that `to_text` does not write."""
        try:
            return _Reader(_unpacked(text)).table()
        except (ValueError, struct.error, zstandard.ZstdError, binascii.Error) as fault:
            remedy = "calibrate the codec again"
            raise InvalidPlan("codec transform", f"has a table that is not one: {fault}", remedy=remedy) from None


def channel_grid(shape: tuple[int, ...]) -> tuple[bool, int, int, int] | None:
    """(channels last?, channels, height, width) of one item of that shape; None where a transform does not apply, and
    where no table holds it.
    """
    if len(shape) == 3:
        return (False, *shape) if _fits(*shape, cosine=True) else None
    if len(shape) == 2:
        height, channels = shape
        return (True, channels, height, 1) if _fits(channels, height, 1, cosine=False) else None
    return None


def _fits(channels: int, height: int, width: int, *, cosine: bool) -> bool:
    sides_fit = max(height, width) <= (_MAX_COSINE_SIDE if cosine else _MAX_SIDE)
    return sides_fit and 0 < channels <= _MAX_CHANNELS and 0 < height * width <= _MAX_POSITIONS


def quantised_columns(matrix: Floats) -> Floats:
    """`matrix` with each column rounded to 127 levels a sign, which is how a table keeps it.

    The analysis is the exact inverse of what is kept, so rounding costs a little decorrelation and no accuracy.
    """
    scales, integers = _column_scales(matrix)
    return integers.astype(np.float32) * scales


def _column_scales(matrix: Floats) -> tuple[Floats, npt.NDArray[np.int8]]:
    scales = (np.abs(matrix).max(0) / 127).astype(np.float32)
    return scales, np.rint(matrix / np.where(scales > 0, scales, 1)).astype(np.int8)


def _unpacked(text: str) -> bytes:
    if len(text) > _MAX_TEXT:
        raise ValueError(f"more than {_MAX_TEXT} characters")
    packed = base64.b64decode(text, validate=True)
    if not 0 < zstandard.frame_content_size(packed) <= _MAX_CONTENT:
        raise ValueError(f"must unpack to 1 to {_MAX_CONTENT} bytes")
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_CONTENT, allow_extra_data=False)


class _Reader:
    """Reads a table front to back; ValueError or struct.error where it is none."""

    def __init__(self, content: bytes) -> None:
        self._content, self._offset = content, 0

    def table(self) -> TransformTable:
        """The table in the content, all of it."""
        if self._content[: len(_MAGIC)] != _MAGIC:
            raise ValueError("starts with another word")
        self._offset = len(_MAGIC)
        flags, gain, channels, kept, height, width, first, classes = self._struct(_HEADER)
        positions = height * width
        sound = 0 < kept <= channels and _fits(channels, height, width, cosine=bool(flags & 2))
        if not (sound and 0 < classes <= _MAX_CLASSES and flags < 4 and (flags != 3 or width == 1)):
            raise ValueError("its header is not one")
        mean, scales = self._floats(channels), self._floats(kept)
        integers = self._array("i1", channels * kept).reshape(channels, kept)
        steps = self._floats(positions).reshape(height, width)
        if not (steps > 0).all():
            raise ValueError("has a step that is not above zero")
        component, position = self._scales(kept), self._scales(positions).reshape(height, width)
        coder = tuple(self._class() for _ in range(classes))
        if self._offset != len(self._content):
            raise ValueError("goes on after its end")
        synthesis = integers.astype(np.float32) * scales
        return TransformTable(
            bool(flags & 1), bool(flags & 2), mean, synthesis, steps, component, position, gain, first, coder
        )

    def _struct(self, form: struct.Struct) -> tuple[int, ...]:
        values = form.unpack_from(self._content, self._offset)
        self._offset += form.size
        return values

    def _array(self, dtype: str, count: int) -> npt.NDArray[np.generic]:
        values = np.frombuffer(self._content, dtype, count, self._offset)
        self._offset += values.nbytes
        return values

    def _floats(self, count: int) -> Floats:
        values = self._array("<f4", count).astype(np.float32)
        if not (np.abs(values) < LARGEST_NUMBER).all():  # not for NaN either
            raise ValueError("holds a number beyond all measure")
        return values

    def _scales(self, count: int) -> Integers:
        values: Integers = self._array("i1", count).astype(np.int64)
        return np.clip(values, -_SCALE_LIMIT, _SCALE_LIMIT)

    def _class(self) -> CoderClass:
        shift, shrink, levels = self._struct(_CLASS)
        if shift > 16 or not 2 <= levels <= _MAX_LEVELS:
            raise ValueError("has a coder class that is not one")
        counts = self._array("<u2", levels).astype(np.uint16)
        if not (counts > 0).all():
            raise ValueError("has a level that cannot be coded")
        return CoderClass(shift, shrink, counts)
