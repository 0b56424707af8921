"""A large tensor encoded in pieces: the first are sent while the next are encoded.

Pieces are runs of one encoding: put together they are decoded as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nodes.codecs.base import EncodedTensor

__all__ = ["LEAST_BYTES", "PIECES", "joined", "piece_ends", "pieces_of"]

PIECES = 8
LEAST_BYTES = 8 << 20
"""Of a tensor before it is encoded. Less takes zstd some 25 ms at most, and each piece a frame and a wake-up."""


def pieces_of(size_bytes: int) -> int:
    """How many are made of a tensor of so many bytes; 1 where it is encoded as a whole."""
    return PIECES if size_bytes >= LEAST_BYTES else 1


def piece_ends(size_bytes: int, count: int) -> Iterator[tuple[int, int]]:
    """From and to of each piece."""
    for number in range(count):
        yield size_bytes * number // count, size_bytes * (number + 1) // count


def joined(tensors: Iterable[EncodedTensor]) -> tuple[EncodedTensor, ...]:
    """Whole tensors, as they are sent to a replica that takes no pieces."""
    whole: list[list[EncodedTensor]] = []
    for tensor in tensors:
        if tensor.continues:
            whole[-1].append(tensor)
        else:
            whole.append([tensor])
    return tuple(
        pieces[0] if len(pieces) == 1 else replace(pieces[0], data=b"".join([piece.data for piece in pieces]))
        for pieces in whole
    )
