"""What an Einsum does, by its equation."""

from __future__ import annotations

import pytest

from partitioner.einsum_equation import einsum_kind


@pytest.mark.parametrize(
    ("equation", "kind"),
    [
        ("bhwc->bchw", "Transpose"),
        ("... i j -> ... j i", "Transpose"),
        ("bii->bi", "Transpose"),
        ("ij", "Transpose"),
        ("ii", "ReduceSum"),
        ("bhwc->bhw", "ReduceSum"),
        ("...c->c", "ReduceSum"),
        ("bhwc,c->bchw", "Mul"),
        ("i,j", "Mul"),
        ("bi,bj->bij", "Mul"),
        ("ij,jk", "Einsum"),
        ("...ij,...jk->...ik", "Einsum"),
        ("bhwc,c->bhw", "Einsum"),
    ],
)
def test_what_sums_over_no_index_moves_or_multiplies(equation: str, kind: str) -> None:
    assert einsum_kind(equation) == kind
