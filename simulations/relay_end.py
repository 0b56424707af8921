"""One socket of a relayed connection: what it receives goes on the line, what comes off the line it sends."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from typing import Protocol, cast

from simulations.shaped_direction import Flow, ShapedDirection

__all__ = ["Line", "RelayEnd"]

# What may wait for the line before the sender feels it, like the buffer of a router: the larger of a size and of a time
# on the line. The time covers moments in which this process does not run: the line must not run dry meanwhile.
_QUEUE_BYTES = 64 * 1024
_QUEUE_S = 0.020
# The kernel would take megabytes more from the sender, which no link holds; this is 10 ms at 200 Mbit/s.
_KERNEL_BUFFER_BYTES = 256 * 1024
_WRITE_BUFFER_BYTES = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Line(Protocol):
    """What an end needs of the emulator that it belongs to."""

    def now_s(self) -> float:
        """The clock of the link."""

    def wake(self) -> None:
        """Something changed: look again when the next event is."""

    def opened(self, end: RelayEnd) -> None:
        """The socket of `end` is there."""

    def closed(self, end: RelayEnd) -> None:
        """The socket of `end` is gone, and nothing comes or goes there any more."""


class RelayEnd(asyncio.Protocol):
    """One side of a connection. `outgoing` takes what this socket receives; `peer` is the other side.

    A clean end of one direction travels as a half-close, so the other direction goes on. A connection that broke is
    closed on the other side too, after what had come in before.
    """

    def __init__(self, line: Line, outgoing: ShapedDirection) -> None:
        self._line = line
        self._outgoing = outgoing
        self.flow: Flow = outgoing.open_flow()
        self.peer: RelayEnd | None = None
        self._transport: asyncio.Transport | None = None
        self._received_end = False
        self._sent_end = False
        self._reading = True
        self.lost = False

    def join(self, peer: RelayEnd) -> None:
        """Make `peer` the other side. Nothing flows towards an end before its socket is there."""
        self.peer, peer.peer = peer, self
        for end in (self, peer):
            end._hold_towards_me(end._transport is None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback; the loop has set TCP_NODELAY already."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER_BYTES)
        self._hold_towards_me(False)
        self._line.opened(self)

    def data_received(self, data: bytes) -> None:
        """asyncio's callback: bytes from the socket reach the line now."""
        self._outgoing.push(self.flow, data, self._line.now_s())
        self.pace_reading()
        self._line.wake()

    def eof_received(self) -> bool:
        """asyncio's callback: the half-close travels; keep the socket open for what comes the other way."""
        self._finish()
        return not self._sent_end

    def pause_writing(self) -> None:
        """asyncio's callback: the receiver does not read."""
        self._hold_towards_me(True)

    def resume_writing(self) -> None:
        """asyncio's callback: the receiver reads again."""
        self._hold_towards_me(False)

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio's callback: nobody takes what comes towards here; the other side hears of it in its turn."""
        self.lost = True
        self._finish()
        self._line.closed(self)

    def deliver(self, pieces: Sequence[memoryview], ends: bool) -> None:
        """Send what came off the line, and pass on its end."""
        if self._transport is None or self.lost:
            return
        if pieces:
            self._transport.write(b"".join(pieces))
        if ends:
            self._end_sending(self._transport)

    def pace_reading(self) -> None:
        """Read from the socket only while the line keeps up."""
        if self._transport is None or self.lost or self._received_end:
            return
        limit_bytes = max(_QUEUE_BYTES, self._outgoing.shape.rate_bps / 8 * _QUEUE_S)
        if self._reading and self.flow.waiting_bytes > limit_bytes:
            self._transport.pause_reading()
            self._reading = False
        elif not self._reading and self.flow.waiting_bytes <= limit_bytes / 2:
            self._transport.resume_reading()
            self._reading = True

    @property
    def paused(self) -> bool:
        """Whether the sender is being held back."""
        return not self._reading and not self.lost

    def reset(self) -> None:
        """Break the connection at once; the program at this end sees a connection reset."""
        if self._transport is None or self.lost:
            return
        self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def _socket(self) -> socket.socket:
        return cast(socket.socket, cast(asyncio.Transport, self._transport).get_extra_info("socket"))

    def _finish(self) -> None:
        if self._received_end:
            return
        self._received_end = True
        self._outgoing.finish(self.flow, self._line.now_s())
        self._line.wake()

    def _end_sending(self, transport: asyncio.Transport) -> None:
        self._sent_end = True
        if self._received_end or self.peer is None or self.peer.lost:
            transport.close()
        elif transport.can_write_eof() and not transport.is_closing():
            transport.write_eof()

    def _hold_towards_me(self, held: bool) -> None:
        if self.peer is not None:
            self.peer._outgoing.hold(self.peer.flow, held, self._line.now_s())
            self._line.wake()
