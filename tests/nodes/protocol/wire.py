"""A wire between the two ends of a stream that holds frames until somebody lets them arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from isthmus.v1 import segment_pb2 as pb

__all__ = ["Direction"]


class Direction:
    """One of both: frames on their way, as bytes, and what their tensors' bytes come to. acknowledges: how many of the
    other's were, by what has arrived."""

    def __init__(self, sender: Any, receiver: Any, kind: type[Any], hears: Callable[[Any], None]) -> None:
        """kind: of the frames. hears: takes the receiver's events."""
        self.sender, self.receiver, self.kind, self.hears = sender, receiver, kind, hears
        self.frames: deque[bytes] = deque()
        self.sent = self.arrived = self.acknowledges = 0

    def step(self, now_s: float) -> bool:
        """The next frame leaves, if there is one."""
        frame = self.sender.next_frame(now_s)
        if frame is not None:
            self.sent += _data_bytes(frame)
            self.frames.append(frame.SerializeToString())
        return frame is not None

    def take(self, now_s: float) -> bool:
        """The next frame arrives, if one is on its way."""
        if not self.frames:
            return False
        frame = self.kind.FromString(self.frames.popleft())
        self.arrived += _data_bytes(frame)
        if frame.WhichOneof("kind") == "ack":
            self.acknowledges = frame.ack.received_bytes
        for event in self.receiver.receive(frame, now_s):
            self.hears(event)
        return True


def _data_bytes(frame: pb.EdgeFrame | pb.CloudFrame) -> int:
    """Of tensors."""
    kind = frame.WhichOneof("kind")
    if kind == "chunk":
        return len(frame.chunk.data)
    if kind in ("request", "more", "response"):
        return sum(len(chunk.data) for chunk in getattr(frame, kind).chunks)
    return 0
