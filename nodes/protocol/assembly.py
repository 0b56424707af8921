"""Putting a message together from its headers and chunks, in whatever way they interleave with other messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from isthmus.errors import InvalidRequest
from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor
from nodes.protocol.limits import StreamLimits

__all__ = ["Assembly", "ReceiveSpan"]


class ReceiveSpan(NamedTuple):
    """How long a message took to arrive, on this side's clock.

    seconds: first to last frame. size_bytes: what arrived after the first frame, so bandwidth = 8 * size / seconds.
    Of a message whose tensors were announced one after the other, the sums over those: between them it waited for the
    next one to be made.
    """

    seconds: float
    size_bytes: int


@dataclass(slots=True)
class _Arriving:
    """What a header announced: a tensor, or the next piece of one. place: of that tensor. after: the piece before."""

    encoded_bytes: int
    place: int
    after: _Arriving | None
    received: int = 0

    @property
    def complete(self) -> bool:
        return self.received == self.encoded_bytes


class Assembly:
    """One message that is arriving. Chunks of a tensor come in order and without gaps; tensors may interleave."""

    def __init__(self, headers: Iterable[pb.TensorHeader], limits: StreamLimits, more: int = 0) -> None:
        """Check the headers against the limits before any byte is kept. Raises InvalidRequest, TooLarge.

        more: tensors, or pieces of them, that are announced later, by `extend`.
        """
        self._limits = limits
        self._headers: list[pb.TensorHeader] = []  # of tensors
        self._held: list[bytes | bytearray] = []
        self._arriving: list[_Arriving] = []
        self._to_come, self._missing, self._total = more, 0, 0
        self._first_at: float | None = None
        self._last_at = 0.0
        self._span_s, self._after_first = 0.0, 0
        self._announce(tuple(headers))

    def extend(self, headers: Iterable[pb.TensorHeader]) -> None:
        """The next tensors or pieces are announced. Raises InvalidRequest, also where more come than were promised, and
        TooLarge."""
        headers = tuple(headers)
        if not 0 < len(headers) <= self._to_come:
            raise InvalidRequest("more tensors", f"{self._to_come} are to come", value=len(headers))
        self._to_come -= len(headers)
        self._announce(headers)
        if self._first_at is not None:
            self._span_s, self._first_at = self._span_s + self._last_at - self._first_at, None

    def _announce(self, headers: tuple[pb.TensorHeader, ...]) -> None:
        added = sum(header.encoded_bytes for header in headers)
        self._total += added
        self._limits.check(len(self._arriving) + len(headers) + self._to_come, self._total)
        for header in headers:
            if header.continues and not self._arriving:
                raise InvalidRequest("continues", "must follow the tensor that it is more of", value=header.name)
            if not header.continues:
                self._headers.append(header)
                self._held.append(b"")
            before = self._arriving[-1] if header.continues else None
            if before is not None and before.encoded_bytes == 0:
                before = before.after  # of nothing no chunk comes that would have to wait for it
            self._arriving.append(_Arriving(header.encoded_bytes, len(self._headers) - 1, before))
        self._missing += added

    @property
    def complete(self) -> bool:
        """Whether every announced byte is here."""
        return self._missing == 0 and self._to_come == 0

    @property
    def received_bytes(self) -> int:
        """What has arrived so far."""
        return self._total - self._missing

    @property
    def received_s(self) -> float:
        """When the last of it came."""
        return self._last_at

    def add(self, chunk: pb.Chunk, data: bytes, now_s: float) -> None:
        """Take one chunk. Raises InvalidRequest where it does not continue its tensor.

        data: the chunk's, handed in because each access copies it.
        """
        index = chunk.tensor_index
        if index >= len(self._arriving):
            raise InvalidRequest("tensor_index", f"below {len(self._arriving)} here", value=index)
        piece = self._arriving[index]
        if piece.after is not None and not piece.after.complete:
            raise InvalidRequest("tensor_index", f"{index - 1} is not here yet, which it continues", value=index)
        if chunk.offset != piece.received:
            raise InvalidRequest("offset", f"expected {piece.received}", value=chunk.offset)
        if piece.received + len(data) > piece.encoded_bytes:
            raise InvalidRequest("chunk", "runs past encoded_bytes", value=self._headers[piece.place].name)
        self._hold(piece.place, data)
        piece.received += len(data)
        self._missing -= len(data)
        if self._first_at is None:
            self._first_at = now_s
        elif now_s > self._first_at:  # else of the first frame, which holds chunks of several tensors
            self._after_first += len(data)
        self._last_at = now_s

    def span(self) -> ReceiveSpan:
        """The time from the first frame to the last so far."""
        since_s = self._last_at if self._first_at is None else self._first_at
        return ReceiveSpan(self._span_s + self._last_at - since_s, self._after_first)

    def tensors(self) -> tuple[EncodedTensor, ...]:
        """The encoded tensors, in the order of the header."""
        return tuple(
            EncodedTensor(
                name=header.name,
                dtype=header.dtype,
                shape=tuple(header.shape),
                stride_order=tuple(header.stride_order),
                codec=header.codec.codec,
                parameters=dict(header.codec.parameters),
                data=held,
            )
            for header, held in zip(self._headers, self._held, strict=True)
        )

    def _hold(self, place: int, data: bytes) -> None:
        """What one chunk brings whole is not copied. Of more, each is put in its place as it comes: joining 100 MB at
        the end would keep the event loop, and with it every other request, for a tenth of a second."""
        held = self._held[place]
        if not held:
            self._held[place] = data
        elif isinstance(held, bytearray):
            held += data
        else:
            self._held[place] = bytearray(held) + data
