"""Messages of one part an item: for each its length as a little-endian uint32, then its bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from isthmus.errors import InvalidRequest
from nodes.codecs.base import EncodedTensor

__all__ = ["join_items", "split_items"]

_LENGTH = struct.Struct("<I")


def join_items(items: Sequence[bytes]) -> bytes:
    """The message of `items`."""
    return b"".join(part for item in items for part in (_LENGTH.pack(len(item)), item))


def split_items(encoded: EncodedTensor) -> Iterator[bytes]:
    """As many items as the tensor has. Raises InvalidRequest naming the tensor where the lengths do not add up."""
    data, offset = encoded.content, 0
    for _ in range(encoded.shape[0]):
        if len(data) - offset < _LENGTH.size:
            raise InvalidRequest(encoded.name, f"must hold {encoded.shape[0]} items")
        start = offset + _LENGTH.size
        offset = start + _LENGTH.unpack_from(data, offset)[0]
        if offset > len(data):
            raise InvalidRequest(encoded.name, "an item runs past the end")
        yield data[start:offset]
    if offset != len(data):
        raise InvalidRequest(encoded.name, f"has {len(data) - offset} bytes after its items")
