"""What the two ends of a recorder say to each other over one TCP connection.

A frame is one letter and a number: E echo, U a burst of so many bytes follows, R what the last burst showed in bits
per second, D send a burst of so many bytes. The near end asks, the far end answers. What a burst holds is random, so
that no compressing tunnel makes a link look faster than it is, and is thrown away.
"""

from __future__ import annotations

import random
import socket
import struct
import time

from isthmus.errors import RemoteProtocolError
from simulations.link_recorder.burst_rate import Arrived, rate_bps
from simulations.link_recorder.pace import MOST_BURST_BYTES

__all__ = ["ASK", "BURST", "ECHO", "SEEN", "RecorderWire", "checked_size"]

ECHO, BURST, SEEN, ASK = b"E", b"U", b"R", b"D"
_GREETING = b"isthmus link recorder 1\n"
_FRAME = struct.Struct("!cd")
_PIECE_BYTES = 16 << 10
# ... and no more than a part of the burst, so that what a kernel holds ready is still seen in pieces.
_PIECES, _LEAST_PIECE_BYTES = 16, 1 << 10
_NOISE = memoryview(random.Random(0).randbytes(1 << 20))


class RecorderWire:
    """A connected socket. Every method may raise OSError (TimeoutError among them) where the connection fails or
    `until_s`, a reading of the monotonic clock, is over; RemoteProtocolError where the peer says what it may not."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._buffer = memoryview(bytearray(_PIECE_BYTES))

    def greet(self, until_s: float) -> None:
        """Both ends say first what they are."""
        self._send(_GREETING, until_s)
        if self._receive_exactly(len(_GREETING), until_s) != _GREETING:
            raise RemoteProtocolError("what answers there is no link recorder")

    def say(self, letter: bytes, number: float, until_s: float) -> None:
        """Send a frame."""
        self._send(_FRAME.pack(letter, number), until_s)

    def hear(self, until_s: float) -> tuple[bytes, float]:
        """The next frame: its letter and its number."""
        letter, number = _FRAME.unpack(self._receive_exactly(_FRAME.size, until_s))
        return letter, number

    def expect(self, letter: bytes, until_s: float) -> float:
        """The number of the next frame, which must have that letter."""
        heard, number = self.hear(until_s)
        if heard != letter:
            raise RemoteProtocolError(f"a link recorder said {heard!r} where {letter!r} was due")
        return number

    def send_burst(self, size_bytes: int, until_s: float) -> None:
        """So many bytes, announced by a frame."""
        self.say(BURST, size_bytes, until_s)
        rest = size_bytes
        while rest > 0:
            piece = _NOISE[: min(rest, len(_NOISE))]
            self._send(piece, until_s)
            rest -= len(piece)

    def receive_burst(self, size: float, until_s: float) -> float:
        """The bits per second that a burst showed whose frame was heard already."""
        arrivals, total = list[Arrived](), 0
        size_bytes = checked_size(size)
        piece_bytes = min(_PIECE_BYTES, max(_LEAST_PIECE_BYTES, size_bytes // _PIECES))
        while total < size_bytes:
            total += self._receive_into(self._buffer[: min(piece_bytes, size_bytes - total)], until_s)
            arrivals.append(Arrived(time.perf_counter(), total))
        return rate_bps(arrivals)

    def close(self) -> None:
        """Let the connection go."""
        self._socket.close()

    def _send(self, data: bytes | memoryview, until_s: float) -> None:
        self._socket.settimeout(_left_s(until_s))
        self._socket.sendall(data)

    def _receive_exactly(self, size_bytes: int, until_s: float) -> bytes:
        received = bytearray()
        while len(received) < size_bytes:
            part = self._buffer[: size_bytes - len(received)]
            received += part[: self._receive_into(part, until_s)]
        return bytes(received)

    def _receive_into(self, part: memoryview, until_s: float) -> int:
        self._socket.settimeout(_left_s(until_s))
        count = self._socket.recv_into(part)
        if not count:
            raise ConnectionResetError("the other end of the link recorder closed the connection")
        return count


def checked_size(size: float) -> int:
    """Raises RemoteProtocolError where that is no length of a burst."""
    if not 1 <= size <= MOST_BURST_BYTES:  # false of a NaN, too
        raise RemoteProtocolError(f"a link recorder named a burst of {size:g} bytes")
    return int(size)


def _left_s(until_s: float) -> float:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the link recorder's other end took too long")
    return left_s
