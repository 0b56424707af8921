"""Three to eight bits an element: asymmetric linear quantisation, then whatever packs the levels best.

Each group of elements has its own step and offset. By default a group is one channel (dimension 1) of one item
(dimension 0) for tensors of 3 or more dimensions, one item for 2, the whole tensor otherwise; where groups would be
smaller than 32 elements the next coarser kind is taken, since a group costs 8 bytes. Groups never span items, so that
an item is quantised the same in every batch.

    x' = round((x - offset) / step) * step + offset,   offset = min, step = (max - min) / top,   |x - x'| <= step / 2

(plus float32 rounding), where top = 2**bits - 1. Parameters, all optional:

- "scope": "tensor": one step an item instead of one a channel.
- "ranges": base64 of little-endian float32 (lowest, highest), one pair a channel or one for all: calibrated beforehand,
  so that no message carries them. Values outside are clipped, and the bound does not hold for them.
- "coder": "range": a range coder with the levels' own frequencies, where that is smaller than packing.

Data: one mode byte; for mode 1 the steps and then the offsets as little-endian float32 in C order of the groups
(nothing with "ranges"), and the levels in stride order (`nodes.codecs.level_packing`). Mode 0 is a packed lossless
frame: for dtypes that are not floats, for tensors that hold NaN, infinity or a range beyond float32, and where the
highest level would decode to infinity (a step rounded up, next to the largest float32: a mask of attention has such).
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from isthmus.errors import InvalidPlan, InvalidRequest
from nodes.codecs.base import DEFAULT_MAX_BYTES, EncodedTensor
from nodes.codecs.dtypes import dtype_name, dtype_named
from nodes.codecs.frame import pack, unpack
from nodes.codecs.layout import checked_size, from_memory, memory_bytes, stride_order
from nodes.codecs.level_packing import pack_levels, unpack_levels
from partitioner.linear_size import group_shape

__all__ = ["LINEAR_BITS", "LinearCodec", "have_ends", "ranges_parameter", "read_ranges"]

LINEAR_BITS = (8, 6, 5, 4, 3)
"""The widths on offer; the codecs are named int8, int6, ..."""

_EXACT, _QUANTISED = b"\0", b"\1"
_MOST_RANGES = 1 << 16
_PARAMETERS: Mapping[str, tuple[str, ...] | None] = {"coder": ("range",), "ranges": None, "scope": ("tensor",)}


@dataclass(frozen=True, slots=True)
class _Quantised:
    """levels: uint8 in the shape of the tensor; steps and offsets: float32, broadcastable to it."""

    levels: torch.Tensor
    steps: torch.Tensor
    offsets: torch.Tensor


def have_ends(activations: torch.Tensor) -> bool:
    """Whether there are ranges that fit `activations`: all finite, none so wide that a level decodes to infinity."""
    values = activations.float()
    return bool(torch.isfinite(values).all()) and _decode_to_floats(values.amin(), values.amax())


def ranges_parameter(activations: torch.Tensor, *, scope: str = "channel") -> str:
    """The parameter "ranges" that fits `activations`: float32 (items, C, ...), calibration items of one tensor that
    `have_ends`.
    """
    channels = activations.float().transpose(0, 1).flatten(1)
    pairs = torch.stack((channels.amin(1), channels.amax(1)), 1)
    if scope == "tensor":
        pairs = torch.stack((pairs[:, 0].amin(), pairs[:, 1].amax()))
    return base64.b64encode(pairs.numpy().astype("<f4").tobytes()).decode("ascii")


class LinearCodec:
    """Lossy on float tensors (see the module for the bound), exact on all others and where the bound cannot hold."""

    lossless = False

    def __init__(self, bits: int, parameters: Mapping[str, str] | None = None) -> None:
        """Raises InvalidPlan for a parameter that it does not have."""
        self.name = f"int{bits}"
        self.parameters: Mapping[str, str] = dict(parameters or {})
        for key, value in self.parameters.items():
            allowed = _PARAMETERS.get(key, ())
            if allowed is not None and value not in allowed:
                raise InvalidPlan(f"codec {self.name}", "has no such parameter", value=f"{key}={value}"[:80])
        self._bits, self._top = bits, (1 << bits) - 1
        self._whole_item = "scope" in self.parameters
        self._range_coded = "coder" in self.parameters
        self._ranges = read_ranges(self.parameters["ranges"]) if "ranges" in self.parameters else None

    def encode(self, name: str, tensor: torch.Tensor) -> EncodedTensor:
        """See `Codec`. Raises InvalidRequest where "ranges" were made for another number of channels."""
        order, dtype = stride_order(tensor, name), dtype_name(tensor.dtype, name)
        quantised = self._quantise(name, tensor)
        if quantised is None:
            data = _EXACT + pack(memory_bytes(name, tensor, order), tensor.element_size())
        else:
            data = _QUANTISED + self._serialise(name, quantised, order)
        return EncodedTensor(name, dtype, tuple(tensor.shape), order, self.name, {}, data)

    def decode(self, encoded: EncodedTensor, max_bytes: int = DEFAULT_MAX_BYTES) -> torch.Tensor:
        """See `Decoder`."""
        size, dtype = checked_size(encoded, max_bytes), dtype_named(encoded.dtype)
        content = encoded.content
        mode, body = content[:1], content[1:]
        if mode == _EXACT:
            return from_memory(encoded, unpack(encoded.name, body, dtype.itemsize, size), max_bytes)
        if mode != _QUANTISED or not dtype.is_floating_point:
            raise InvalidRequest(encoded.name, f"has an unknown {self.name} mode", value=mode)
        return _dequantise(self._parse(encoded, body, max_bytes), dtype)

    def _quantise(self, name: str, tensor: torch.Tensor) -> _Quantised | None:
        """None where quantising makes no sense: not floats, nothing there, or a range that float32 cannot hold."""
        if not tensor.is_floating_point() or tensor.numel() == 0:
            return None
        values = tensor.detach().to(torch.float32)
        if self._ranges is None:
            spanned = _spanned_dimensions(group_shape(tuple(tensor.shape), whole_item=self._whole_item))
            low = torch.amin(values, dim=spanned, keepdim=True)
            steps = (torch.amax(values, dim=spanned, keepdim=True) - low) / self._top
        else:
            steps, low = (part.to(values.device) for part in self._calibrated(name, tuple(tensor.shape)))
        # NaN and infinity reach amin and amax, and so the steps. That no range decodes to infinity was checked.
        sound = torch.isfinite(values).all() if self._ranges is not None else _reaches(steps, low, self._top)
        if not bool(sound):
            return None
        divisors = torch.where(steps > 0, steps, 1.0)
        levels = ((values - low) / divisors).round_().clamp_(0, self._top).to(torch.uint8)
        return _Quantised(levels, steps, low)

    def _calibrated(self, name: str, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Steps and offsets out of the ranges, broadcastable to `shape`."""
        assert self._ranges is not None
        count = len(self._ranges)
        if count > 1 and (len(shape) < 2 or shape[1] != count):
            raise InvalidRequest(name, f"must have {count} channels", value=shape)
        low, high = self._ranges.view(count, 2, *(1 for _ in shape[2:])).unbind(1)
        if count == 1:
            low, high = low.reshape(()), high.reshape(())
        return (high - low) / self._top, low

    def _serialise(self, name: str, quantised: _Quantised, order: tuple[int, ...]) -> bytes:
        levels = pack_levels(memory_bytes(name, quantised.levels, order), self._bits, range_coded=self._range_coded)
        if self._ranges is not None:
            return levels
        scales = torch.stack((quantised.steps.reshape(-1), quantised.offsets.reshape(-1))).cpu().numpy()
        return scales.astype("<f4").tobytes() + levels

    def _parse(self, encoded: EncodedTensor, body: bytes, max_bytes: int) -> _Quantised:
        if self._ranges is not None:
            steps, offsets = self._calibrated(encoded.name, encoded.shape)
        else:
            groups = group_shape(encoded.shape, whole_item=self._whole_item)
            count = math.prod(groups)
            if len(body) < 8 * count:
                raise InvalidRequest(encoded.name, f"must start with {8 * count} bytes of scales", value=len(body))
            scales = torch.from_numpy(np.frombuffer(body, "<f4", 2 * count).astype(np.float32).reshape(2, *groups))
            steps, offsets, body = scales[0], scales[1], body[8 * count :]
        content = unpack_levels(encoded.name, body, self._bits, math.prod(encoded.shape))
        header = EncodedTensor(encoded.name, "uint8", encoded.shape, encoded.stride_order, encoded.codec, {}, b"")
        return _Quantised(from_memory(header, content, max_bytes), steps, offsets)


def read_ranges(text: str) -> torch.Tensor:
    """What `ranges_parameter` wrote: float32 (channels or 1, 2). Raises InvalidPlan."""
    try:
        raw = base64.b64decode(text, validate=True)
        pairs = np.frombuffer(raw, "<f4").astype(np.float32).reshape(-1, 2)
    except (ValueError, binascii.Error):
        pairs = np.empty((0, 2), np.float32)
    sound = 0 < len(pairs) <= _MOST_RANGES and np.isfinite(pairs).all() and (pairs[:, 0] <= pairs[:, 1]).all()
    if not sound or not _decode_to_floats(*torch.from_numpy(pairs).unbind(1)):
        remedy = "make them with nodes.codecs.linear.ranges_parameter"
        raise InvalidPlan("codec ranges", "are no pairs of lowest and highest", value=text[:40], remedy=remedy)
    return torch.from_numpy(pairs)


def _decode_to_floats(low: torch.Tensor, high: torch.Tensor) -> bool:
    """Whether levels of every width between these ends, finite ones, do."""
    tops = ((1 << bits) - 1 for bits in LINEAR_BITS)
    return all(bool(_reaches((high - low) / top, low, top)) for top in tops)


def _reaches(steps: torch.Tensor, low: torch.Tensor, top: int) -> torch.Tensor:
    """Whether the highest level decodes to finite numbers as `_dequantise` does it: steps may have been rounded up."""
    highest = steps * top
    return torch.isfinite(highest).all() & torch.isfinite(highest + low).all()


def _spanned_dimensions(groups: tuple[int, ...]) -> tuple[int, ...]:
    kept = len(groups) - 1
    while kept >= 0 and groups[kept] == 1:
        kept -= 1
    return tuple(range(kept + 1, len(groups)))


def _dequantise(quantised: _Quantised, dtype: torch.dtype) -> torch.Tensor:
    # Only levels keeps the strides of the header: it goes first.
    values = quantised.levels.to(torch.float32).mul_(quantised.steps).add_(quantised.offsets)
    return values.to(dtype)
