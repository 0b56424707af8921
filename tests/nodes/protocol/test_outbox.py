"""How large chunks are, and which frame goes next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.codecs.base import EncodedTensor
from nodes.protocol.edge_stream import EdgeStream, WireRequest
from nodes.protocol.outbox import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, chunk_bytes


@given(st.integers(0, 1 << 30), st.none() | st.floats(1.0, 1e12))
def test_a_chunk_keeps_its_bounds(total_bytes: int, link_bps: float | None) -> None:
    assert MIN_CHUNK_BYTES <= chunk_bytes(total_bytes, link_bps) <= MAX_CHUNK_BYTES


@pytest.mark.parametrize("link_bps", [200e6, 1e9])
def test_a_chunk_holds_a_known_link_for_two_milliseconds(link_bps: float) -> None:
    assert chunk_bytes(3_000_000, link_bps) * 8 / link_bps == pytest.approx(0.002, rel=1e-3)


@pytest.mark.parametrize(("believed_bps", "frames"), [(None, 4), (20e6, 6), (1.5e9, 1)])
def test_what_passes_at_once_on_a_fast_link_is_one_frame(believed_bps: float | None, frames: int) -> None:
    stream = EdgeStream("edge")
    stream.pace(believed_bps)
    stream.submit(
        WireRequest(1, "digest", 1, (EncodedTensor("x", "uint8", (112_000,), (), "raw", {}, bytes(112_000)),))
    )
    assert stream.next_frame(0.0) is not None  # hello
    sent = 0
    while stream.next_frame(0.0) is not None:
        sent += 1
    assert sent == frames


def test_a_stream_stirs_while_it_may_have_something_to_send() -> None:
    stream = EdgeStream("edge")
    assert stream.stirring  # the hello
    while stream.next_frame(0.0) is not None:
        pass
    quiet = stream.stirring
    stream.submit(WireRequest(1, "digest", 1, (EncodedTensor("x", "uint8", (9,), (), "raw", {}, bytes(9)),)))
    assert (quiet, stream.stirring) == (False, True)
