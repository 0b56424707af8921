"""Which bytes of the peer have arrived, and when to tell it."""

from __future__ import annotations

from isthmus.v1 import segment_pb2 as pb

__all__ = ["ACK_EVERY_BYTES", "Receipts"]

ACK_EVERY_BYTES = 16 << 10
"""Less than the smallest chunk, so each is acknowledged at once; small requests are not, as a frame costs 100 us."""


class Receipts:
    """Tensor bytes that arrived on one stream. wanted: whether the peer understands acknowledgements."""

    def __init__(self) -> None:
        self.wanted = False
        self._received_bytes = 0
        self._told_bytes = 0

    def take(self, chunk: pb.Chunk) -> bytes:
        """The chunk's data, counted. Called once for every chunk, whatever becomes of its message."""
        data = chunk.data
        self._received_bytes += len(data)
        return data

    @property
    def owing(self) -> bool:
        """Whether enough has arrived since the last acknowledgement for another one."""
        return self.wanted and self._received_bytes - self._told_bytes >= ACK_EVERY_BYTES

    def due(self) -> pb.Ack | None:
        """The acknowledgement to send now, None where too little has arrived since the last one."""
        if not self.owing:
            return None
        self._told_bytes = self._received_bytes
        return pb.Ack(received_bytes=self._received_bytes)
