"""Expected magnitudes: what the known components change, and that every machine counts alike."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from nodes.codecs.activity import ScaleModel, component_groups
from nodes.codecs.transform_table import CoderClass, TransformTable


def table(components: int = 20, size: int = 6, gain: int = 16) -> TransformTable:
    coder = tuple(CoderClass(0, 0, np.ones(4, np.uint16)) for _ in range(30))
    zeros = np.zeros(components, np.int64), np.zeros((size, size), np.int64)
    mean, rotation = np.zeros(components, np.float32), np.eye(components, dtype=np.float32)
    return TransformTable(False, True, mean, rotation, np.ones((size, size), np.float32), *zeros, gain, -60, coder)


@pytest.mark.parametrize("components", [1, 2, 5, 40, 384])
def test_groups_cover_every_component_once(components: int) -> None:
    groups = component_groups(components)
    assert [one for first, end in groups for one in range(first, end)] == list(range(components))


def test_nothing_known_means_the_scale_of_the_table() -> None:
    model = ScaleModel(table())
    assert (model.scales(model.start(2), model.groups[0]) == 0).all()


def test_larger_magnitudes_raise_the_scale_of_what_follows_there() -> None:
    model = ScaleModel(table())
    levels = np.ones((1, 4, 6, 6), np.int64)
    levels[..., 0, 0] = 9
    scales = model.scales(model.add(model.start(1), (0, 4), levels), (4, 8))[0, 0]
    assert scales[0, 0] > scales[0, 1] > scales[5, 5] == 0


def test_a_gain_of_zero_ignores_what_is_known() -> None:
    model = ScaleModel(table(gain=0))
    activity = model.add(model.start(1), (0, 4), np.full((1, 4, 6, 6), 50))
    assert (model.scales(activity, (4, 8)) == 0).all()


def test_items_do_not_change_each_other() -> None:
    model, source = ScaleModel(table()), np.random.default_rng(0)
    levels = source.integers(-5, 6, (3, 4, 6, 6))
    together = model.classes(model.add(model.start(3), (0, 4), levels), (4, 8))
    alone = [model.classes(model.add(model.start(1), (0, 4), one[None]), (4, 8)) for one in levels]
    assert np.array_equal(together, np.concatenate(alone))


def test_no_constant_lies_near_a_rounding_edge() -> None:
    # 2**16 * 2**(k/16) by decimal arithmetic: no mathematics library is off by as much as separates these from a half.
    for sixteenth in range(-16 * 16, 16 * 12 + 1):
        value = Decimal(2) ** (16 + Decimal(sixteenth) / 16)
        assert abs(value % 1 - Decimal("0.5")) > Decimal("1e-6")
