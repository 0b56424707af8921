"""What a linear codec's message holds, without making one: a step and an offset a group of elements, and the levels."""

from __future__ import annotations

import math

__all__ = ["group_shape", "linear_bytes"]

_SMALLEST_GROUP = 32
_SCALE_BYTES = 8
"""A step and an offset in float32."""


def group_shape(shape: tuple[int, ...], *, whole_item: bool = False) -> tuple[int, ...]:
    """The shape of steps and offsets: 1 in every dimension that a group spans. whole_item: one group an item at least,
    not one a channel."""
    finest = min(max(len(shape) - 1, 0), 1 if whole_item else 2)
    for kept in range(finest, -1, -1):
        groups = math.prod(shape[:kept])
        if groups == 0 or math.prod(shape) >= groups * _SMALLEST_GROUP:
            return (*shape[:kept], *(1 for _ in shape[kept:]))
    return tuple(1 for _ in shape)


def linear_bytes(shape: tuple[int, ...], bits: int) -> int:
    """Bytes of a tensor of that shape with so many bits an element, packed by nothing else: two bytes that say how."""
    return 2 + _SCALE_BYTES * math.prod(group_shape(shape)) + math.ceil(math.prod(shape) * bits / 8)
