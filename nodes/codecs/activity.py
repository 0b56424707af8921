"""How large the next coefficients are expected to be, from those that are known already; in whole numbers only.

Coefficients are coded in groups of components, the strongest first. A group's scale at a frequency is what the table
says of it, plus what the known components say of this item there: the mean of |level| / expected |level| over them,
averaged with its neighbours. On efficientnet-lite0 this saves 2.6 % over the table alone; contexts that also look at
lower frequencies of the same component save 0.4 % more, and would cost a pass for each of them.

Whole numbers, since a rounding that differs between edge and cloud would put the decoder out of step.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from nodes.codecs.transform_table import EIGHTHS, TransformTable

__all__ = ["CLASS_WIDTH", "ScaleModel", "component_groups"]

CLASS_WIDTH = 4
"""Eighths of an octave that one coder class spans."""

Integers = npt.NDArray[np.int64]

_UNIT = 1 << 16  # an activity of 1: magnitudes as expected
_MOST = 16 * _UNIT
_LOWEST, _HIGHEST = -96, 127
_CONTEXT = 32  # activity counts from 2**-4 to 2**4
_SHARES = (0.06, 0.2, 0.4, 0.7, 1.0)


def component_groups(components: int) -> tuple[tuple[int, int], ...]:
    """From and to of each group of components; small ones first, so that there is soon something to learn from."""
    ends = sorted({max(1, round(share * components)) for share in _SHARES})
    return tuple(zip((0, *ends[:-1]), ends, strict=True))


class ScaleModel:
    """The scales of one table, and the class of each coefficient of a group given the groups before it."""

    def __init__(self, table: TransformTable) -> None:
        prior = table.component_scale[:, None, None] + table.position_scale
        self._prior: Integers = np.clip(prior, _LOWEST, _HIGHEST)
        self._inverse = _inverse_scales()[self._prior - _LOWEST]
        self._neighbours = _box_sum(np.ones((1, *table.position_scale.shape), np.int64))
        self._gain, self._first, self._classes = table.activity_gain, table.first_scale, len(table.classes)
        self.groups = component_groups(len(table.component_scale))

    def start(self, items: int) -> Integers:
        """The sum of activities before any group is known: int64 (items, H, W)."""
        return np.zeros((items, *self._prior.shape[1:]), np.int64)

    def add(self, activity: Integers, group: tuple[int, int], levels: Integers) -> Integers:
        """`activity` with the levels of a group, int64 (items, components of the group, H, W), in it."""
        first, end = group
        more: Integers = np.minimum(np.abs(levels) * self._inverse[first:end], _MOST).sum(1)
        return activity + more

    def scales(self, activity: Integers, group: tuple[int, int]) -> Integers:
        """Expected scale of each coefficient of a group, eighths of an octave: (items, components, H, W)."""
        context = self._gain * self.context(activity, group[0]) >> 4
        expected: Integers = self._prior[group[0] : group[1]] + context[:, None]
        return expected

    def context(self, activity: Integers, known: int) -> Integers:
        """What `known` components say of each position, in eighths of an octave around 0: (items, H, W)."""
        own = (2 * activity + _UNIT) // (2 * known + 1)  # half a component of activity 1 comes with it
        blurred = (own + _box_sum(own) // self._neighbours) >> 1
        return np.searchsorted(_thresholds(), blurred) - _CONTEXT

    def classes(self, activity: Integers, group: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """The coder class of each coefficient of a group: (items, components, H, W)."""
        classes = (self.scales(activity, group) - self._first) // CLASS_WIDTH
        return np.clip(classes, 0, self._classes - 1).astype(np.uint8)


def _box_sum(values: Integers) -> Integers:
    """Of each position and its up to eight neighbours, over the last two axes."""
    rows = values.copy()
    rows[..., 1:, :] += values[..., :-1, :]
    rows[..., :-1, :] += values[..., 1:, :]
    total = rows.copy()
    total[..., 1:] += rows[..., :-1]
    total[..., :-1] += rows[..., 1:]
    return total


@functools.cache
def _inverse_scales() -> Integers:
    """_UNIT / 2**(scale / 8), rounded. No value is near a half, so every machine rounds alike (a test checks it)."""
    return np.array([round(_UNIT * 2.0 ** (-scale / EIGHTHS)) for scale in range(_LOWEST, _HIGHEST + 1)], np.int64)


@functools.cache
def _thresholds() -> Integers:
    """Activities between which the context counts up by an eighth of an octave; rounded as safely."""
    return np.array([round(_UNIT * 2.0 ** ((step + 0.5) / EIGHTHS)) for step in range(-_CONTEXT, _CONTEXT)], np.int64)
