"""Quantised levels to bits and back by a range coder, each with the probabilities of its class.

Range coding as in Martin 1979, in the implementation of the library constriction (Bamler 2022). A level is coded as
level >> shift with the class's table, then its `shift` low bits as they are; what lies beyond the table is coded as
an escape and follows after the range coder's words as an int32.

Message: the number of 32-bit words, the words, the escaped levels; all little-endian.
"""

from __future__ import annotations

import struct

import constriction
import numpy as np
import numpy.typing as npt

from nodes.codecs.transform_table import CoderClass

__all__ = ["LARGEST_LEVEL", "LevelDecoder", "LevelEncoder", "LevelModels"]

LARGEST_LEVEL = (1 << 31) - 1

_WORDS = struct.Struct("<I")
Integers = npt.NDArray[np.int64]
Classes = npt.NDArray[np.uint8]


class LevelModels:
    """The entropy models of a table's classes, made once and shared by all threads."""

    def __init__(self, classes: tuple[CoderClass, ...]) -> None:
        models = constriction.stream.model
        self.shifts = np.array([one.shift for one in classes], np.int64)
        self.beyond = np.array([len(one.counts) - 1 for one in classes], np.int64)
        self.tables = [models.Categorical(_probabilities(one), perfect=False) for one in classes]
        self.low_bits = [models.Uniform(1 << one.shift) if one.shift else None for one in classes]


def _probabilities(one: CoderClass) -> npt.NDArray[np.float32]:
    """Of the symbols 0 .. 2 * beyond: level >> shift from -beyond to beyond - 1, and the escape.

    counts go by magnitude, and m stands for both m and -1 - m after a shift; without one 0 has no twin.
    """
    counts = one.counts.astype(np.float64)
    inside = counts[:-1]
    if one.shift:
        both = np.concatenate([inside[::-1], inside])
    else:
        both = np.concatenate([[counts[-1] / 2], inside[:0:-1], 2 * inside[:1], inside[1:]])
    probabilities = np.concatenate([both, counts[-1:]])
    normal: npt.NDArray[np.float32] = (probabilities / probabilities.sum()).astype(np.float32)
    return normal


def _by_class(classes: Classes) -> tuple[npt.NDArray[np.intp], list[tuple[int, slice]]]:
    """An order of `classes`, flat, with equal ones together; and each class that occurs, ascending, with where it is
    in that order. What is done by element is done in it for all classes at once: one has few elements, and there are
    about twenty.
    """
    ends = np.cumsum(np.bincount(classes)).tolist()
    runs = [(found, slice(start, end)) for found, (start, end) in enumerate(zip([0, *ends], ends, strict=False))]
    return np.argsort(classes, kind="stable"), [(found, run) for found, run in runs if run.stop > run.start]


class LevelEncoder:
    """Takes the levels of one group after the other."""

    def __init__(self, models: LevelModels) -> None:
        self._models, self._coder = models, constriction.stream.queue.RangeEncoder()
        self._escaped: list[npt.NDArray[np.int32]] = []

    def add(self, levels: Integers, classes: Classes) -> None:
        """levels: of any shape, within LARGEST_LEVEL; classes: of the same shape."""
        order, runs = _by_class(classes.reshape(-1))
        ordered, own = levels.reshape(-1)[order], classes.reshape(-1)[order]
        shifts, beyond = self._models.shifts[own], self._models.beyond[own]
        shifted = ordered >> shifts
        low = (ordered - (shifted << shifts)).astype(np.int32)
        symbols = shifted + beyond
        outside = (symbols < 0) | (symbols >= 2 * beyond)
        if outside.any():
            self._escaped.append(ordered[outside].astype(np.int32))
            symbols[outside] = 2 * beyond[outside]
        narrow = symbols.astype(np.int32)
        for found, run in runs:
            self._coder.encode(narrow[run], self._models.tables[found])
            low_bits = self._models.low_bits[found]
            if low_bits is not None:
                self._coder.encode(low[run], low_bits)

    def finish(self) -> bytes:
        """The message."""
        words = self._coder.get_compressed()
        escaped = b"".join(levels.astype("<i4").tobytes() for levels in self._escaped)
        content: bytes = words.astype("<u4").tobytes()
        return _WORDS.pack(len(words)) + content + escaped


class LevelDecoder:
    """Gives the levels of one group after the other. Raises ValueError for a message that is not one."""

    def __init__(self, models: LevelModels, message: bytes) -> None:
        if len(message) < _WORDS.size:
            raise ValueError("breaks off")
        end = _WORDS.size + 4 * _WORDS.unpack_from(message)[0]
        if end > len(message) or len(message) % 4:
            raise ValueError("breaks off")
        words = np.frombuffer(message[_WORDS.size : end], "<u4").astype(np.uint32)
        self._models, self._coder = models, constriction.stream.queue.RangeDecoder(words)
        self._escaped, self._used = np.frombuffer(message[end:], "<i4").astype(np.int64), 0

    def take(self, classes: Classes) -> Integers:
        """The levels of the next group, in the shape of `classes`."""
        order, runs = _by_class(classes.reshape(-1))
        symbols, low = np.empty(classes.size, np.int64), np.zeros(classes.size, np.int64)
        for found, run in runs:
            symbols[run] = self._decode(self._models.tables[found], run.stop - run.start)
            low_bits = self._models.low_bits[found]
            if low_bits is not None:
                low[run] = self._decode(low_bits, run.stop - run.start)
        own = classes.reshape(-1)[order]
        beyond = self._models.beyond[own]
        levels = ((symbols - beyond) << self._models.shifts[own]) + low
        outside = symbols == 2 * beyond
        if outside.any():
            levels[outside] = self._take_escaped(int(outside.sum()))
        flat = np.empty(classes.size, np.int64)
        flat[order] = levels
        return flat.reshape(classes.shape)

    def _decode(self, model: object, count: int) -> npt.NDArray[np.int32]:
        try:
            symbols: npt.NDArray[np.int32] = self._coder.decode(model, count)
        except AssertionError as fault:  # how the library says that no message decodes to this
            raise ValueError(str(fault)) from None
        return symbols

    def _take_escaped(self, count: int) -> Integers:
        if self._used + count > len(self._escaped):
            raise ValueError("breaks off")
        self._used += count
        return self._escaped[self._used - count : self._used]

    def finish(self) -> None:
        """Raises ValueError when the message holds more than was taken."""
        if self._used != len(self._escaped):
            raise ValueError("goes on after its end")
