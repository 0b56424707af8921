"""How far a request has got on its stream: a slow link moves bytes, a replica that has stalled moves none."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Progress"]


class Progress(NamedTuple):
    """As its edge sees it. moved_bytes: what the replica has acknowledged of the stream up to the request's own end,
    and what is here of its answer, not what buffers on the way have taken. moved_s: when that last grew.
    end_bytes: where the request's own bytes end in that count; None while some of them have not left."""

    moved_bytes: int
    moved_s: float
    end_bytes: int | None = None
