"""Which frame goes next."""

from __future__ import annotations

import pytest

from nodes.codecs.base import EncodedTensor
from nodes.protocol.edge_stream import EdgeStream, WireRequest


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
