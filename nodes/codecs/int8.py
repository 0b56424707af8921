"""Eight bits an element: asymmetric linear quantisation by minimum and maximum, then zstd.

Each group of elements has its own step and offset: a group is one channel (dimension 1) of one item (dimension 0)
for tensors of 3 or more dimensions, one item for 2, the whole tensor otherwise; where groups would be smaller than 32
elements the next coarser kind is taken, since a group costs 8 bytes. Groups never span items, so that an item is
quantised the same in every batch.

    x' = round((x - offset) / step) * step + offset,   offset = min, step = (max - min) / 255,   |x - x'| <= step / 2

(plus float32 rounding). Data: one mode byte; for mode 1 the steps and then the offsets as little-endian float32 in C
order of the groups, and one zstd frame of uint8 in stride order. Mode 0 is a packed lossless frame: for dtypes that
are not floats, and for tensors that hold NaN, infinity or a range beyond float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from isthmus.errors import InvalidRequest
from nodes.codecs.base import DEFAULT_MAX_BYTES, EncodedTensor
from nodes.codecs.dtypes import dtype_name, dtype_named
from nodes.codecs.frame import compress, decompress, pack, unpack
from nodes.codecs.layout import checked_size, from_memory, memory_bytes, stride_order

__all__ = ["Int8Codec"]

_EXACT, _QUANTISED = b"\0", b"\1"
_LEVELS = 255
_SMALLEST_GROUP = 32


@dataclass(frozen=True, slots=True)
class _Quantised:
    """levels: uint8 in the shape of the tensor; steps and offsets: float32, broadcastable to it."""

    levels: torch.Tensor
    steps: torch.Tensor
    offsets: torch.Tensor


class Int8Codec:
    """Lossy on float tensors (see the module for the bound), exact on all others and where the bound cannot hold."""

    name = "int8"
    lossless = False
    parameters: Mapping[str, str] = {}

    def encode(self, name: str, tensor: torch.Tensor) -> EncodedTensor:
        """See `Codec`."""
        order, dtype = stride_order(tensor, name), dtype_name(tensor.dtype, name)
        quantised = _quantise(tensor)
        if quantised is None:
            data = _EXACT + pack(memory_bytes(name, tensor, order), tensor.element_size())
        else:
            data = _QUANTISED + _serialise(name, quantised, order)
        return EncodedTensor(name, dtype, tuple(tensor.shape), order, self.name, {}, data)

    def decode(self, encoded: EncodedTensor, max_bytes: int = DEFAULT_MAX_BYTES) -> torch.Tensor:
        """See `Decoder`."""
        size, dtype = checked_size(encoded, max_bytes), dtype_named(encoded.dtype)
        mode, body = encoded.data[:1], encoded.data[1:]
        if mode == _EXACT:
            return from_memory(encoded, unpack(encoded.name, body, dtype.itemsize, size), max_bytes)
        if mode != _QUANTISED or not dtype.is_floating_point:
            raise InvalidRequest(encoded.name, "has an unknown int8 mode", value=mode)
        return _dequantise(_parse(encoded, body, max_bytes), dtype)


def _group_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of steps and offsets: 1 in every dimension that a group spans."""
    finest = min(max(len(shape) - 1, 0), 2)
    for kept in range(finest, -1, -1):
        groups = math.prod(shape[:kept])
        if groups == 0 or math.prod(shape) >= groups * _SMALLEST_GROUP:
            return (*shape[:kept], *(1 for _ in shape[kept:]))
    return tuple(1 for _ in shape)


def _quantise(tensor: torch.Tensor) -> _Quantised | None:
    """None where quantising makes no sense: not floats, nothing there, or a range that float32 cannot hold."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return None
    values = tensor.detach().to(torch.float32)
    spanned = _spanned_dimensions(_group_shape(tuple(tensor.shape)))
    low = torch.amin(values, dim=spanned, keepdim=True)
    steps = (torch.amax(values, dim=spanned, keepdim=True) - low) / _LEVELS
    if not bool(torch.isfinite(steps).all()):  # NaN and infinity reach amin and amax
        return None
    divisors = torch.where(steps > 0, steps, 1.0)
    levels = ((values - low) / divisors).round_().clamp_(0, _LEVELS).to(torch.uint8)
    return _Quantised(levels, steps, low)


def _spanned_dimensions(groups: tuple[int, ...]) -> tuple[int, ...]:
    kept = len(groups) - 1
    while kept >= 0 and groups[kept] == 1:
        kept -= 1
    return tuple(range(kept + 1, len(groups)))


def _serialise(name: str, quantised: _Quantised, order: tuple[int, ...]) -> bytes:
    scales = torch.stack((quantised.steps.reshape(-1), quantised.offsets.reshape(-1))).cpu().numpy()
    return scales.astype("<f4").tobytes() + compress(memory_bytes(name, quantised.levels, order))


def _parse(encoded: EncodedTensor, body: bytes, max_bytes: int) -> _Quantised:
    groups = _group_shape(encoded.shape)
    count = math.prod(groups)
    if len(body) < 8 * count:
        raise InvalidRequest(encoded.name, f"must start with {8 * count} bytes of scales", value=len(body))
    scales = torch.from_numpy(np.frombuffer(body, "<f4", 2 * count).astype(np.float32).reshape(2, *groups))
    content = decompress(encoded.name, body[8 * count :], math.prod(encoded.shape))
    header = EncodedTensor(encoded.name, "uint8", encoded.shape, encoded.stride_order, encoded.codec, {}, b"")
    return _Quantised(from_memory(header, content, max_bytes), scales[0], scales[1])


def _dequantise(quantised: _Quantised, dtype: torch.dtype) -> torch.Tensor:
    values = quantised.levels.to(torch.float32).mul_(quantised.steps).add_(quantised.offsets)
    return values.to(dtype)
