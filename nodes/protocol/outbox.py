"""What this side still has to send, and which frame goes next.

Control frames go first, in order. Among messages the one with the earliest deadline sends its next chunk, then the most
urgent priority, then the smallest, then the oldest, and only while the window has room: a 1 kB request passes a 100 MB
one between two chunks, and few of those wait before it in buffers on the way.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import EncodedTensor, encoded_bytes
from nodes.protocol.chunk_sizes import chunk_bytes, opening_bytes
from nodes.protocol.receipts import Receipts
from nodes.protocol.send_window import SendWindow
from nodes.protocol.version import ACK_MINOR

__all__ = ["Outbox", "Outgoing", "Urgency", "announce"]

DEFAULT_PRIORITY = 1 << 31

if TYPE_CHECKING:  # generic in the stubs only
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    Chunks = RepeatedCompositeFieldContainer[pb.Chunk]
    Headers = RepeatedCompositeFieldContainer[pb.TensorHeader]

Frame = TypeVar("Frame")


def announce(tensors: Sequence[EncodedTensor], headers: Headers) -> None:
    """Add the headers of `tensors` to a message, made where they stay: what is handed to protobuf is copied."""
    for tensor in tensors:
        if tensor.continues:
            headers.add(name=tensor.name, encoded_bytes=len(tensor.data), continues=True)
            continue
        header = headers.add(
            name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, stride_order=tensor.stride_order,
            encoded_bytes=len(tensor.data),
        )  # fmt: skip
        codec = header.codec
        codec.tensor, codec.codec = tensor.name, tensor.codec
        if tensor.parameters:
            codec.parameters.update(tensor.parameters)


class Urgency(NamedTuple):  # made for each message, and compared as tuples are
    """Order among messages: earlier deadline, then lower priority number, then fewer bytes, then age."""

    deadline_s: float
    priority: int
    size_bytes: int
    sequence: int


@dataclass(slots=True)
class _Part(Generic[Frame]):
    """Tensors that were announced together. opening: None once it has left."""

    opening: Frame | None
    opening_bytes: int
    chunks: _ChunkCutter

    @property
    def left(self) -> bool:
        """Whether there is something left to send."""
        return self.opening is not None or not self.chunks.finished


@dataclass(slots=True)
class Outgoing(Generic[Frame]):
    """A message. begun: its header has left. more: the parts behind the one that is being sent. sent_until_bytes: where
    what has left of it ended, in the count of all that was sent."""

    begun: bool
    part: _Part[Frame]
    more: deque[_Part[Frame]]
    sent_until_bytes: int = 0

    @property
    def end_bytes(self) -> int | None:
        """Where it ends in that count; None while there is something left to send."""
        return None if self.more or self.part.left else self.sent_until_bytes


class _ChunkCutter:
    """What is left of a message's tensors, cut as the link is when each piece's turn comes."""

    def __init__(self, request_id: int, tensors: Sequence[EncodedTensor], first_index: int = 0) -> None:
        self.total_bytes = encoded_bytes(tensors)
        self._first_index = first_index
        self._request_id = request_id
        self._data = [tensor.data for tensor in tensors]
        self._index, self._offset = 0, 0
        self._skip_finished()

    @property
    def finished(self) -> bool:
        """Whether nothing is left."""
        return self._index == len(self._data)

    def next_bytes(self, most_bytes: int) -> int:
        """The size of the next chunk; 0 at the end."""
        return 0 if self.finished else min(most_bytes, len(self._data[self._index]) - self._offset)

    def cut(self, size_bytes: int, chunk: pb.Chunk) -> None:
        """Take the next piece off, into a fresh chunk: one whose data is set again and again grows its arena."""
        data = self._data[self._index]
        if size_bytes < len(data):
            data = bytes(memoryview(data)[self._offset : self._offset + size_bytes])
        chunk.request_id, chunk.tensor_index = self._request_id, self._first_index + self._index
        chunk.offset, chunk.data = self._offset, bytes(data)
        self._offset += size_bytes
        self._skip_finished()

    def open(self, chunks: Chunks, room_bytes: int) -> int:
        """Take the first pieces off, as many as have room together, into `chunks`. Returns their bytes."""
        taken_bytes = 0
        while (size_bytes := self.next_bytes(room_bytes - taken_bytes)) > 0:
            self.cut(size_bytes, chunks.add())
            taken_bytes += size_bytes
        return taken_bytes

    def _skip_finished(self) -> None:
        while self._index < len(self._data) and self._offset == len(self._data[self._index]):
            self._index, self._offset = self._index + 1, 0


class Outbox(Generic[Frame]):
    """Frames to send, of one side. window: what may be under way, and what the direction is believed to carry.
    receipts: what has arrived the other way, to be acknowledged."""

    def __init__(self, chunk_frame: Callable[[], tuple[Frame, pb.Chunk]], wrap_ack: Callable[[pb.Ack], Frame]) -> None:
        """chunk_frame: a new frame, and the chunk in it to fill. wrap_ack: a frame of one."""
        self.window = SendWindow()
        self.receipts = Receipts()
        self._chunk_frame = chunk_frame
        self._wrap_ack = wrap_ack
        self._control: deque[Frame] = deque()
        self._messages: dict[int, Outgoing[Frame]] = {}
        self._order: list[tuple[Urgency, int]] = []
        self._sequence = 0

    @property
    def control_frames(self) -> int:
        """How many wait to be sent."""
        return len(self._control)

    @property
    def stirring(self) -> bool:
        """Whether there may be a frame to send: otherwise its writer need not wake."""
        return bool(self._control or self._order or self.receipts.owing)

    def peer_speaks(self, minor: int) -> None:
        """The handshake told the peer's minor version: whether both sides acknowledge what arrives."""
        self.receipts.wanted = self.window.capped = minor >= ACK_MINOR

    def put_control(self, frame: Frame) -> None:
        """Queue a frame that goes before every chunk."""
        self._control.append(frame)

    def put_message(
        self,
        request_id: int,
        opening: Frame,
        chunks: Chunks,
        tensors: Sequence[EncodedTensor],
        deadline_s: float | None = None,
        priority: int = 0,
        expected_bytes: int = 0,
    ) -> Outgoing[Frame]:
        """Queue a message. opening: its header. chunks: of that header, for the first ones. priority: 1 is the most
        urgent, 0 means the default. expected_bytes: of all its tensors, where more follow.

        What fits one chunk's size, or 32 kB, travels in the header: each frame costs both sides some 100 us.
        """
        cutter = _ChunkCutter(request_id, tensors)
        size_bytes = max(cutter.total_bytes, expected_bytes)
        return self._put(request_id, self._opened(cutter, opening, chunks), size_bytes, deadline_s, priority)

    def put_more(
        self,
        request_id: int,
        first_index: int,
        opening: Frame,
        chunks: Chunks,
        tensors: Sequence[EncodedTensor],
        deadline_s: float | None = None,
        priority: int = 0,
        expected_bytes: int = 0,
    ) -> Outgoing[Frame]:
        """Queue the next tensors of a message, behind those before them. first_index: of the first one of these. The
        rest as above."""
        cutter = _ChunkCutter(request_id, tensors, first_index)
        part, before = self._opened(cutter, opening, chunks), self._messages.get(request_id)
        if before is None:
            size_bytes = max(cutter.total_bytes, expected_bytes)
            return self._put(request_id, part, size_bytes, deadline_s, priority, begun=True)
        before.more.append(part)
        return before

    def _put(
        self,
        request_id: int,
        part: _Part[Frame],
        size_bytes: int,
        deadline_s: float | None,
        priority: int,
        *,
        begun: bool = False,
    ) -> Outgoing[Frame]:
        self._sequence += 1
        deadline_s = math.inf if deadline_s is None else deadline_s
        urgency = Urgency(deadline_s, priority or DEFAULT_PRIORITY, size_bytes, self._sequence)
        self._messages[request_id] = message = Outgoing(begun, part, deque())
        heapq.heappush(self._order, (urgency, request_id))
        return message

    def _opened(self, cutter: _ChunkCutter, opening: Frame, chunks: Chunks) -> _Part[Frame]:
        room_bytes = opening_bytes(cutter.total_bytes, self.window.bps, self.window.largest_frame_bytes)
        return _Part(opening, cutter.open(chunks, room_bytes), cutter)

    def withdraw(self, request_id: int) -> bool:
        """Forget what is left of a message. Returns whether its header had been sent."""
        pending = self._messages.pop(request_id, None)
        self._forget_withdrawn()
        return pending is None or pending.begun

    def _forget_withdrawn(self) -> None:
        """Behind what is more urgent they would stay: kept to half of the order, at O(1) a withdrawal in the mean."""
        if 2 * len(self._messages) < len(self._order):
            self._order = [item for item in self._order if item[1] in self._messages]
            heapq.heapify(self._order)

    def forget_sent(self, request_id: int) -> bool:
        """Let go of a message that is all sent, and its tensors. Returns whether nothing of it is left to send."""
        pending = self._messages.get(request_id)
        if pending is not None and (pending.more or pending.part.left):
            return False
        self._messages.pop(request_id, None)
        return True

    def next_frame(self, now_s: float) -> Frame | None:
        """The next frame to send, None when there is nothing or no room for it."""
        ack = self.receipts.due()
        if ack is not None:  # behind a welcome that waits
            self._control.append(self._wrap_ack(ack))
        if self._control:
            return self._control.popleft()
        pending = self._most_urgent()
        if pending is None:
            self.window.ran_dry()
            return None
        part = pending.part
        size_bytes = self._next_bytes(part)
        if not self.window.has_room(size_bytes):
            return None
        self.window.sent(size_bytes, now_s)
        pending.sent_until_bytes = self.window.sent_bytes
        if part.opening is not None:
            opening, part.opening, pending.begun = part.opening, None, True
            return opening
        frame, chunk = self._chunk_frame()
        part.chunks.cut(size_bytes, chunk)
        return frame

    def _most_urgent(self) -> Outgoing[Frame] | None:
        """What is all sent, and what was withdrawn, is dropped on the way."""
        while self._order:
            request_id = self._order[0][1]
            pending = self._messages.get(request_id)
            while pending is not None and pending.more and not pending.part.left:
                pending.part = pending.more.popleft()
            if pending is not None and pending.part.left:
                return pending
            self._messages.pop(request_id, None)
            heapq.heappop(self._order)
        return None

    def _next_bytes(self, part: _Part[Frame]) -> int:
        if part.opening is not None:
            return part.opening_bytes
        return part.chunks.next_bytes(self._chunk_bytes(part.chunks.total_bytes))

    def _chunk_bytes(self, total_bytes: int) -> int:
        return min(chunk_bytes(total_bytes, self.window.bps), self.window.largest_frame_bytes)
