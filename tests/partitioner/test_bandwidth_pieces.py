"""Which line is the lowest at which bandwidth."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioner.bandwidth_pieces import TimeLine, pieces_of

_LINES = st.lists(
    st.builds(TimeLine, st.floats(0, 10, allow_subnormal=False), st.integers(0, 10**8)), min_size=1, max_size=12
)


@given(_LINES, st.floats(1e3, 1e10))
def test_the_piece_at_a_bandwidth_is_of_the_lowest_line(lines: list[TimeLine], bps: float) -> None:
    (here, *_) = [piece for piece in pieces_of(lines) if piece.from_bps <= bps <= piece.to_bps]
    assert lines[here.line].seconds(bps) <= min(line.seconds(bps) for line in lines) * (1 + 1e-9)


@given(_LINES)
def test_pieces_touch_and_cover_every_bandwidth(lines: list[TimeLine]) -> None:
    pieces = pieces_of(lines)
    assert (pieces[0].from_bps, pieces[-1].to_bps) == (0.0, math.inf)
    assert all(a.to_bps == b.from_bps for a, b in pairwise(pieces))
    assert len({piece.line for piece in pieces}) == len(pieces)


def test_the_breakpoint_is_where_the_lines_cross() -> None:
    slow, fast = pieces_of([TimeLine(0.5, 0), TimeLine(0.1, 400_000)])
    assert (slow.line, fast.line) == (0, 1)
    assert slow.to_bps == fast.from_bps == pytest.approx(1e6)
