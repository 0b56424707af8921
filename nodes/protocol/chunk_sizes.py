"""Into how long pieces a message is cut. Pure, for streams and simulator."""

from __future__ import annotations

import math

__all__ = ["MAX_CHUNK_BYTES", "MIN_CHUNK_BYTES", "MIN_OPENING_BYTES", "chunk_bytes", "opening_bytes"]

# A chunk holds the link for at most this long, where its rate is known: so much later comes what is more urgent.
CHUNK_S = 0.002
# Where it is not known, eight chunks a message, of 32 kB or more, let the receiver time it. The bounds keep per-chunk
# cost (200 us in all) and copies small: the least is 6.6 ms at 20 Mbit/s.
CHUNKS_PER_MESSAGE = 8
MIN_CHUNK_BYTES = 16 << 10
# What a header carries is at least this much: a message of one frame costs least, and is timed by its whole way.
MIN_OPENING_BYTES = 32 << 10
MAX_CHUNK_BYTES = 512 << 10


def chunk_bytes(total_bytes: int, link_bps: float | None = None) -> int:
    """The chunk size for a message of `total_bytes` encoded bytes. link_bps: what the link is believed to carry."""
    if link_bps is None:
        wanted = max(MIN_OPENING_BYTES, total_bytes / CHUNKS_PER_MESSAGE)
    else:
        wanted = max(MIN_CHUNK_BYTES, link_bps * CHUNK_S / 8)
    return math.ceil(min(MAX_CHUNK_BYTES, wanted))


def opening_bytes(total_bytes: int, link_bps: float | None = None, most_bytes: int = MAX_CHUNK_BYTES) -> int:
    """How much of a message its header may carry. link_bps: as above. most_bytes: that a chunk may have now."""
    return max(MIN_OPENING_BYTES, min(most_bytes, chunk_bytes(total_bytes, link_bps)))
