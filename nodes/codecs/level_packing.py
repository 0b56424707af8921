"""Small whole numbers to bytes: as bits, as bytes for zstd, zeros apart, or range coded; the smallest wins.

After its form byte, each form holds the levels of one tensor, 0 to 2**bits - 1, whose count both sides know:

- packed: `bits` bits each, highest first; what remains of the last byte is zero.
- zstd: one frame of bytes.
- sparse: a zstd frame of one bit a level (is it above zero?), its length before it, and a zstd frame of those that are.
- range: how often each level occurs as uint16, and the words of a range coder (see `nodes.codecs.level_coder`).
"""

from __future__ import annotations

import struct

import constriction
import numpy as np
import numpy.typing as npt

from isthmus.errors import InvalidRequest
from nodes.codecs.frame import compress, decompress

__all__ = ["pack_levels", "unpack_levels"]

_PACKED, _ZSTD, _SPARSE, _RANGE = b"\0", b"\1", b"\2", b"\3"
_LENGTH = struct.Struct("<I")
_ZEROS_ABOUND = 0.3
_MOST_COUNT = 65535
Levels = npt.NDArray[np.uint8]


def pack_levels(content: bytes, bits: int, *, range_coded: bool = False) -> bytes:
    """`content`, one level of `bits` bits a byte, in the smallest form; the range coder is tried only where asked."""
    levels = np.frombuffer(content, np.uint8)
    forms = [_ZSTD + compress(content)]
    if bits < 8:
        forms.append(_PACKED + _to_bits(levels, bits))
    if len(levels) and np.count_nonzero(levels) < (1 - _ZEROS_ABOUND) * len(levels):
        forms.append(_SPARSE + _to_sparse(levels))
    if range_coded and len(levels):
        forms.append(_RANGE + _to_range(levels, bits))
    return min(forms, key=len)


def unpack_levels(name: str, packed: bytes, bits: int, count: int) -> bytes:
    """The way back: `count` bytes. Raises InvalidRequest naming the tensor. The caller has bounded `count`."""
    form, body = packed[:1], packed[1:]
    if form == _ZSTD:
        content = decompress(name, body, count)
    elif form == _PACKED and bits < 8:
        content = _from_bits(name, body, bits, count)
    elif form == _SPARSE:
        content = _from_sparse(name, body, count)
    elif form == _RANGE and count:
        content = _from_range(name, body, bits, count)
    else:
        raise InvalidRequest(name, "has an unknown form of levels", value=form)
    if count and int(np.frombuffer(content, np.uint8).max()) >> bits:
        raise InvalidRequest(name, f"has a level of more than {bits} bits")
    return content


def _to_bits(levels: Levels, bits: int) -> bytes:
    planes = np.unpackbits(levels[:, None], axis=1)[:, 8 - bits :]
    return np.packbits(planes).tobytes()


def _from_bits(name: str, body: bytes, bits: int, count: int) -> bytes:
    if len(body) != (bits * count + 7) // 8:
        raise InvalidRequest(name, f"must hold {count} levels of {bits} bits", value=len(body))
    planes = np.zeros((count, 8), np.uint8)
    planes[:, 8 - bits :] = np.unpackbits(np.frombuffer(body, np.uint8), count=bits * count).reshape(count, bits)
    return np.packbits(planes, axis=1).tobytes()


def _to_sparse(levels: Levels) -> bytes:
    mask = levels > 0
    where = compress(np.packbits(mask).tobytes())
    return _LENGTH.pack(len(where)) + where + compress(levels[mask].tobytes())


def _from_sparse(name: str, body: bytes, count: int) -> bytes:
    end = _LENGTH.size + (_LENGTH.unpack_from(body)[0] if len(body) >= _LENGTH.size else 0)
    if end > len(body):
        raise InvalidRequest(name, "its sparse levels break off")
    bits = np.frombuffer(decompress(name, body[_LENGTH.size : end], (count + 7) // 8), np.uint8)
    mask = np.unpackbits(bits, count=count).astype(bool)
    levels = np.zeros(count, np.uint8)
    levels[mask] = np.frombuffer(decompress(name, body[end:], int(mask.sum())), np.uint8)
    return levels.tobytes()


def _to_range(levels: Levels, bits: int) -> bytes:
    met = np.bincount(levels, minlength=1 << bits)
    # A product that is rounded up above the largest count would wrap to zero: of the level that occurs most.
    counts = np.minimum(np.ceil(met * min(1.0, _MOST_COUNT / met.max())), _MOST_COUNT).astype(np.uint16)
    coder = constriction.stream.queue.RangeEncoder()
    coder.encode(_symbols(counts)[levels], _model(counts))
    words: bytes = coder.get_compressed().astype("<u4").tobytes()
    head: bytes = counts.astype("<u2").tobytes()
    return head + words


def _from_range(name: str, body: bytes, bits: int, count: int) -> bytes:
    size = 2 << bits
    if len(body) < size or (len(body) - size) % 4:
        raise InvalidRequest(name, "its range coded levels break off")
    counts = np.frombuffer(body, "<u2", 1 << bits).astype(np.uint16)
    if not counts.any():
        raise InvalidRequest(name, "has range coded levels without frequencies")
    coder = constriction.stream.queue.RangeDecoder(np.frombuffer(body[size:], "<u4").astype(np.uint32))
    try:
        symbols = coder.decode(_model(counts), count)
    except AssertionError as fault:  # how the library says that no message decodes to this
        raise InvalidRequest(name, f"has range coded levels that are none: {fault}") from None
    met = np.flatnonzero(counts).astype(np.uint8)
    levels: bytes = met[np.minimum(symbols, len(met) - 1)].tobytes()
    return levels


def _symbols(counts: npt.NDArray[np.uint16]) -> npt.NDArray[np.int32]:
    """The number of each level among those that occur."""
    return (np.cumsum(counts > 0) - 1).astype(np.int32)


def _model(counts: npt.NDArray[np.uint16]) -> object:
    """Over the levels that occur; the library wants two symbols at least."""
    occurring = counts[counts > 0].astype(np.float64)
    if len(occurring) == 1:
        occurring = np.append(occurring, 1.0)
    return constriction.stream.model.Categorical((occurring / occurring.sum()).astype(np.float32), perfect=False)
