"""What this side still has to send, and which frame goes next.

Control frames go first, in order. Among messages the one with the earliest deadline sends its next chunk, then the most
urgent priority, then the oldest: a 1 kB request passes a 100 MB one between two chunks.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor, encoded_bytes

__all__ = ["MAX_CHUNK_BYTES", "MIN_CHUNK_BYTES", "Outbox", "Urgency", "chunk_bytes", "tensor_headers"]

# A chunk holds the link for at most this long, where its rate is known: so much later comes what is more urgent.
CHUNK_S = 0.002
# Where it is not known, eight chunks a message let the receiver time it. The bounds keep per-chunk cost (200 us in all)
# and copies small. A message of one frame is timed by its whole way.
CHUNKS_PER_MESSAGE = 8
MIN_CHUNK_BYTES = 32 << 10
MAX_CHUNK_BYTES = 512 << 10
DEFAULT_PRIORITY = 1 << 31

Frame = TypeVar("Frame")
Header = TypeVar("Header", pb.RequestHeader, pb.ResponseHeader)


def chunk_bytes(total_bytes: int, link_bps: float | None = None) -> int:
    """The chunk size for a message of `total_bytes` encoded bytes. link_bps: what the link is believed to carry."""
    wanted = total_bytes / CHUNKS_PER_MESSAGE if link_bps is None else link_bps * CHUNK_S / 8
    return math.ceil(min(MAX_CHUNK_BYTES, max(MIN_CHUNK_BYTES, wanted)))


def tensor_headers(tensors: Sequence[EncodedTensor]) -> list[pb.TensorHeader]:
    """The headers that announce `tensors`."""
    return [
        pb.TensorHeader(
            name=tensor.name,
            dtype=tensor.dtype,
            shape=tensor.shape,
            stride_order=tensor.stride_order,
            codec=pb.TensorCodec(tensor=tensor.name, codec=tensor.codec, parameters=tensor.parameters),
            encoded_bytes=len(tensor.data),
        )
        for tensor in tensors
    ]


@dataclass(frozen=True, slots=True, order=True)
class Urgency:
    """Order among messages: earlier deadline, then lower priority number, then age."""

    deadline_s: float
    priority: int
    sequence: int


@dataclass(slots=True)
class _Pending(Generic[Frame]):
    opening: Frame | None
    chunks: Iterator[pb.Chunk]


def _chunks(request_id: int, tensors: Sequence[EncodedTensor], size: int) -> Iterator[pb.Chunk]:
    for index, tensor in enumerate(tensors):
        view = memoryview(tensor.data)
        for offset in range(0, len(view), size):
            # A fresh message for each chunk: assigning `data` again and again grows one message's arena.
            yield pb.Chunk(
                request_id=request_id, tensor_index=index, offset=offset, data=bytes(view[offset : offset + size])
            )


def _parted(chunks: Iterator[pb.Chunk], room_bytes: int) -> tuple[list[pb.Chunk], Iterator[pb.Chunk]]:
    """The first chunks, as many as have room together, and the others."""
    opening: list[pb.Chunk] = []
    for chunk in chunks:
        room_bytes -= len(chunk.data)
        if room_bytes < 0:
            return opening, itertools.chain((chunk,), chunks)
        opening.append(chunk)
    return opening, chunks


class Outbox(Generic[Header, Frame]):
    """Frames to send, of one side. link_bps: what its direction is believed to carry, None before anything is known."""

    def __init__(self, wrap_header: Callable[[Header], Frame], wrap_chunk: Callable[[pb.Chunk], Frame]) -> None:
        """wrap_header, wrap_chunk: make a frame of each."""
        self.link_bps: float | None = None
        self._wrap_header: Callable[[Header], Frame] = wrap_header
        self._wrap_chunk = wrap_chunk
        self._control: deque[Frame] = deque()
        self._messages: dict[int, _Pending[Frame]] = {}
        self._order: list[tuple[Urgency, int]] = []
        self._sequence = 0

    def __bool__(self) -> bool:
        return bool(self._control or self._messages)

    def put_control(self, frame: Frame) -> None:
        """Queue a frame that goes before every chunk."""
        self._control.append(frame)

    def put_message(
        self,
        request_id: int,
        header: Header,
        tensors: Sequence[EncodedTensor],
        deadline_s: float | None = None,
        priority: int = 0,
    ) -> None:
        """Queue a header and the chunks of its tensors. priority: 1 is the most urgent, 0 means the default.

        What fits one chunk's size travels in the header: each frame costs both sides some 100 us.
        """
        self._sequence += 1
        urgency = Urgency(math.inf if deadline_s is None else deadline_s, priority or DEFAULT_PRIORITY, self._sequence)
        room = chunk_bytes(encoded_bytes(tensors), self.link_bps)
        chunks = _chunks(request_id, tensors, room)
        opening, rest = _parted(chunks, room)
        header.chunks.extend(opening)
        self._messages[request_id] = _Pending(self._wrap_header(header), rest)
        heapq.heappush(self._order, (urgency, request_id))

    def withdraw(self, request_id: int) -> bool:
        """Forget what is left of a message. Returns whether its header had been sent."""
        pending = self._messages.pop(request_id, None)
        return pending is None or pending.opening is None

    def next_frame(self) -> Frame | None:
        """The next frame to send, None when there is nothing."""
        if self._control:
            return self._control.popleft()
        while self._order:
            request_id = self._order[0][1]
            frame = self._next_of(request_id)
            if frame is not None:
                return frame
            heapq.heappop(self._order)
        return None

    def _next_of(self, request_id: int) -> Frame | None:
        pending = self._messages.get(request_id)
        if pending is None:
            return None
        if pending.opening is not None:
            opening, pending.opening = pending.opening, None
            return opening
        chunk = next(pending.chunks, None)
        if chunk is None:
            del self._messages[request_id]
            return None
        return self._wrap_chunk(chunk)
