"""How large chunks are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.protocol.chunk_sizes import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, chunk_bytes


@given(st.integers(0, 1 << 30), st.none() | st.floats(1.0, 1e12))
def test_a_chunk_keeps_its_bounds(total_bytes: int, link_bps: float | None) -> None:
    assert MIN_CHUNK_BYTES <= chunk_bytes(total_bytes, link_bps) <= MAX_CHUNK_BYTES


@pytest.mark.parametrize("link_bps", [200e6, 1e9])
def test_a_chunk_holds_a_known_link_for_two_milliseconds(link_bps: float) -> None:
    assert chunk_bytes(3_000_000, link_bps) * 8 / link_bps == pytest.approx(0.002, rel=1e-3)
