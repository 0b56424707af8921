"""What an ONNX node computes: a multiply-add counts two, in integers, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from onnx import helper

from partitioner.onnx_flops import node_flops

Shape = tuple[int, ...]
PICTURE, KERNEL, FILTERED = (2, 3, 8, 8), (6, 3, 3, 3), (2, 6, 6, 6)
CONVOLVED = 2 * 6 * 6 * 6 * (2 * 3 * 3 * 3)
SCALE: Shape = ()


def _flops(operator: str, read: tuple[Shape, ...], made: Shape, **attributes: Any) -> int:
    shapes: Mapping[str, Shape] = {**{f"in{at}": shape for at, shape in enumerate(read)}, "out": made}
    node = helper.make_node(operator, [f"in{at}" for at in range(len(read))], ["out"], **attributes)
    return node_flops(node, shapes)


def test_a_quantised_convolution_multiplies_as_any_does() -> None:
    scaled = (PICTURE, SCALE, SCALE, KERNEL, SCALE, SCALE, SCALE, SCALE)
    assert _flops("QLinearConv", scaled, FILTERED) == CONVOLVED
    assert _flops("QLinearConv", (*scaled, (6,)), FILTERED) == CONVOLVED + 2 * 6 * 6 * 6
    assert _flops("Conv", (PICTURE, KERNEL, (6,)), FILTERED) == CONVOLVED + 2 * 6 * 6 * 6


@pytest.mark.parametrize("zero_points", [(), (SCALE,), (SCALE, SCALE)])
def test_the_zero_points_of_a_convolution_of_integers_are_no_bias(zero_points: tuple[Shape, ...]) -> None:
    assert _flops("ConvInteger", (PICTURE, KERNEL, *zero_points), FILTERED) == CONVOLVED


def test_a_quantised_product_multiplies_as_any_does() -> None:
    rows, columns = (2, 5, 16), (16, 7)
    scaled = (rows, SCALE, SCALE, columns, SCALE, SCALE, SCALE, SCALE)
    assert _flops("QLinearMatMul", scaled, (2, 5, 7)) == 2 * 2 * 5 * 16 * 7
    assert _flops("MatMulInteger", (rows, columns, SCALE), (2, 5, 7)) == 2 * 2 * 5 * 16 * 7


@pytest.mark.parametrize(
    ("equation", "read", "flops"),
    [
        ("bhqd,bhkd->bhqk", ((2, 4, 5, 8), (2, 4, 6, 8)), 2 * 2 * 4 * 5 * 6 * 8),
        ("ij, jk -> ik", ((3, 4), (4, 5)), 2 * 3 * 4 * 5),
        ("ij,jk", ((3, 4), (4, 5)), 2 * 3 * 4 * 5),
        ("...ij,...jk->...ik", ((7, 2, 3, 4), (2, 4, 5)), 2 * 7 * 2 * 3 * 4 * 5),
        ("...ij,jk->...ik", ((1, 2, 3, 4), (4, 5)), 2 * 2 * 3 * 4 * 5),
        ("ij->i", ((3, 4),), 3 * 4),
    ],
)
def test_an_einstein_sum_multiplies_for_each_combination_of_its_indices(
    equation: str, read: tuple[Shape, ...], flops: int
) -> None:
    assert _flops("Einsum", read, (), equation=equation) == flops
