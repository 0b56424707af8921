"""Learns the entropy coder of a transform table: expected scales, what the context says, probabilities by class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nodes.codecs.activity import CLASS_WIDTH, ScaleModel
from nodes.codecs.transform_table import EIGHTHS, CoderClass, TransformTable

__all__ = ["fitted_coder"]

_SMALLEST_SCALE, _LARGEST_SCALE = -56, 96  # eighths of an octave: mean magnitudes of 0.008 to 4,096
_GAINS = range(0, 33, 4)
_ITEMS_FOR_GAIN = 16  # of one picture each; their positions are many
_SHIFTLESS_OCTAVES = 4  # below a mean magnitude of 16 every level has a probability of its own
_TABLE_TOTAL, _PSEUDO_COUNT = 20_000, 20.0
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Classes = npt.NDArray[np.uint8]


def fitted_coder(table: TransformTable, scaled: Floats) -> TransformTable:
    """`table` with the coder that suits `scaled`: the calibration items' coefficients in steps, (items, K, H, W)."""
    levels: Integers = np.rint(scaled).astype(np.int64)
    component, position = _separable_scales(np.abs(levels))
    nothing = (CoderClass(0, 0, np.ones(2, np.uint16)),) * ((_LARGEST_SCALE - _SMALLEST_SCALE) // CLASS_WIDTH)
    start = replace(
        table,
        component_scale=component,
        position_scale=position,
        activity_gain=0,
        first_scale=_SMALLEST_SCALE,
        classes=nothing,
    )
    chosen = replace(start, activity_gain=_best_gain(start, levels[:: max(1, len(levels) // _ITEMS_FOR_GAIN)]))
    classes = _classes(ScaleModel(chosen), levels)
    used = range(int(classes.min()), int(classes.max()) + 1)
    coder = tuple(_coder_class(_scale_of(one), levels[classes == one], scaled[classes == one]) for one in used)
    return replace(chosen, first_scale=_SMALLEST_SCALE + CLASS_WIDTH * used[0], classes=coder)


def _scale_of(number: int) -> int:
    """The middle of a class, in eighths of an octave."""
    return _SMALLEST_SCALE + CLASS_WIDTH * number + CLASS_WIDTH // 2


def _separable_scales(magnitudes: Integers) -> tuple[Integers, Integers]:
    """Of each component and each position: mean magnitudes as a product costs 0.1 % over one for every coefficient."""
    overall = _eighths(magnitudes.mean())
    component = _eighths(magnitudes.mean((0, 2, 3)))
    return component, np.clip(_eighths(magnitudes.mean((0, 1))) - overall, -EIGHTHS * 8, EIGHTHS * 8)


def _eighths(magnitude: npt.ArrayLike) -> Integers:
    scales = np.rint(EIGHTHS * np.log2(np.maximum(magnitude, 2.0**-7)))
    bounded: Integers = np.minimum(scales, _LARGEST_SCALE).astype(np.int64)
    return bounded


def _best_gain(table: TransformTable, levels: Integers) -> int:
    """How far to follow the context: the gain under which the levels are likeliest, as if Laplace distributed."""
    costs = {}
    for gain in _GAINS:
        model, cost = ScaleModel(replace(table, activity_gain=gain)), 0.0
        activity = model.start(len(levels))
        for group in model.groups:
            own = levels[:, group[0] : group[1]]
            expected = 2.0 ** (model.scales(activity, group) / EIGHTHS) + 0.05
            cost += float((np.log(expected) + (np.abs(own) + 0.05) / expected).sum())
            activity = model.add(activity, group, own)
        costs[gain] = cost
    return min(costs, key=lambda gain: costs[gain])


def _classes(model: ScaleModel, levels: Integers) -> Classes:
    found, activity = np.empty(levels.shape, np.uint8), model.start(len(levels))
    for group in model.groups:
        found[:, group[0] : group[1]] = model.classes(activity, group)
        activity = model.add(activity, group, levels[:, group[0] : group[1]])
    return found


def _coder_class(scale: int, levels: Integers, scaled: Floats) -> CoderClass:
    """The class for levels of about that scale: what was met, and a geometric distribution where little was."""
    mean = 2.0 ** (scale / EIGHTHS)
    shift = max(0, scale // EIGHTHS - _SHIFTLESS_OCTAVES)
    shifted = levels >> shift
    magnitudes = np.maximum(shifted, -1 - shifted) if shift else np.abs(levels)
    expected = mean / (1 << shift)
    beyond = int(10 * expected) + 3
    met = np.bincount(np.minimum(magnitudes, beyond), minlength=beyond + 1)
    falling = (expected / (1 + expected)) ** np.arange(beyond + 1)
    weight = met + _PSEUDO_COUNT * falling / falling.sum()
    counts = np.maximum(1, np.rint(weight * (_TABLE_TOTAL / weight.sum()))).astype(np.uint16)
    return CoderClass(shift, _shrink(levels, scaled), counts)


def _shrink(levels: Integers, scaled: Floats) -> int:
    some = levels != 0
    if not some.any():
        return 0
    offset = float(np.mean(np.abs(levels[some]) - np.abs(scaled[some])))
    return int(np.clip(round(256 * offset), 0, 255))
