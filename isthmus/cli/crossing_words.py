"""What crosses, in the width of a table's column."""

from __future__ import annotations

from collections.abc import Sequence

from partitioner.plan import TensorCodec

__all__ = ["crossing_words"]

_LEAST_NAME = 4


def crossing_words(tensors: Sequence[TensorCodec], width: int) -> str:
    """ "relu_3 int8"; of several "relu_3 +2 int8/zstd": the one with most bytes, how many others, their codecs.

    Names lose their beginning first: what tells tensors of one graph apart stands at the end.
    """
    if not tensors:
        return "nothing"
    largest = max(tensors, key=lambda one: one.bytes)
    others = f" +{len(tensors) - 1}" if len(tensors) > 1 else ""
    codecs = list(dict.fromkeys((largest.codec, *(one.codec for one in tensors))))
    rest = f"{others} {'/'.join(codecs)}"
    if len(codecs) > 1 and width - len(rest) < min(_LEAST_NAME, len(largest.tensor)):
        rest = f"{others} {largest.codec}…"
    said = _ending(largest.tensor, max(_LEAST_NAME, width - len(rest))) + rest
    return said if len(said) <= width else f"{said[: width - 1]}…"


def _ending(name: str, width: int) -> str:
    return name if len(name) <= width else f"…{name[1 - width :]}"
