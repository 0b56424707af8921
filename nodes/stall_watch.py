"""Whether a request that was sent still gets on, or waits for a replica that has stalled. Pure."""

from __future__ import annotations

from nodes.protocol.progress import Progress

__all__ = ["StallWatch"]


class StallWatch:
    """Of one request at one replica. Moments are readings of the caller's clock."""

    def __init__(self, since_s: float) -> None:
        """since_s: from when on it is waited for."""
        self._got_on_s = since_s

    def got_on_s(self, progress: Progress) -> float:
        """When it last did. Remembered, as nobody knows the progress of a request that has ended."""
        self._got_on_s = max(self._got_on_s, progress.moved_s)
        return self._got_on_s
