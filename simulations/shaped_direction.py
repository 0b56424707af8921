"""One direction of a shaped link, as arithmetic: bytes and times go in, bytes and times come out.

It owns no clock and no socket, so tests drive it through years of traffic in milliseconds. The link is a serial line
followed by a pipe: bytes of all flows take turns on the line, a quantum each, at the line's rate; then every quantum
travels through the pipe for the delay. Times are computed from the times before them and never from the moment somebody
happened to look, so a late caller delays a delivery but never slows the link down.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

__all__ = ["Delivery", "DirectionShape", "Flow", "ShapedDirection"]

# A quantum is what one flow sends in its turn: this much time on the line. Bytes are late by at most the quantum that
# they share with bytes behind them (the end of a message that nothing follows is exact), and one quantum is one wake-up
# of whoever drives this: 0.2 ms of CPU time, so half of this would cost twice as much.
_QUANTUM_S = 0.002
# ... but not tiny packets on slow links, as long as a quantum still ends soon enough after a change of the rate.
_SMALL_QUANTUM_BYTES = 256
_LONGEST_QUANTUM_S = 0.010
# How long the line may be left to itself while the pipe is full: nobody can see it before the delay is over.
_LONGEST_SLACK_S = 0.004


@dataclass(frozen=True, slots=True)
class DirectionShape:
    """rate_bps: bits per second; delay_s: one way; jitter_s: each quantum's delay is off by up to this, either way."""

    rate_bps: float
    delay_s: float
    jitter_s: float = 0.0


@dataclass(slots=True, eq=False)
class Flow:
    """One stream of bytes through a direction: what waits for the line. Only `ShapedDirection` changes it."""

    number: int
    waiting: deque[memoryview] = field(default_factory=deque)
    waiting_bytes: int = 0
    ending: bool = False
    held: bool = False
    dropped: bool = False

    @property
    def wants_line(self) -> bool:
        """Whether the flow takes part in the round robin."""
        return not self.held and not self.dropped and (self.waiting_bytes > 0 or self.ending)

    def take(self, size_bytes: int) -> tuple[memoryview, ...]:
        """Remove up to `size_bytes` from the front, across the pieces in which they came."""
        taken = []
        while size_bytes > 0 and self.waiting:
            piece = self.waiting.popleft()
            if len(piece) > size_bytes:
                self.waiting.appendleft(piece[size_bytes:])
                piece = piece[:size_bytes]
            taken.append(piece)
            size_bytes -= len(piece)
            self.waiting_bytes -= len(piece)
        return tuple(taken)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bytes that came out of the link at `due_s`. `ends`: the flow is over after them."""

    flow: Flow
    pieces: tuple[memoryview, ...]
    due_s: float
    ends: bool


class ShapedDirection:
    """A serial line and a delay that any number of flows share fairly. Times are seconds of any one monotonic clock.

    Order is kept inside the whole direction: jitter and a shrinking delay never let a quantum overtake another, as TCP
    would hide it anyway. The caller says when something happens (`push`, `set_shape`, ...) and asks with `advance` for
    what has come out; `next_event_s` says when asking again is worth it.
    """

    def __init__(self, shape: DirectionShape, seed: int = 0) -> None:
        self._shape = shape
        self._random = random.Random(seed)
        self._numbers = count()
        self._turns: deque[Flow] = deque()
        self._in_pipe: deque[Delivery] = deque()
        self._line_free_s = 0.0
        self._stalled_until_s = 0.0

    @property
    def shape(self) -> DirectionShape:
        """What the line does now."""
        return self._shape

    def open_flow(self) -> Flow:
        """A new flow with nothing in it."""
        return Flow(next(self._numbers))

    def push(self, flow: Flow, data: bytes | memoryview, now_s: float) -> None:
        """`data` of `flow` reaches the line at `now_s`."""
        if flow.dropped or not data:
            return
        self._serve(now_s)
        flow.waiting.append(memoryview(data))
        flow.waiting_bytes += len(data)
        self._take_turns(flow, now_s)

    def finish(self, flow: Flow, now_s: float) -> None:
        """`flow` ends after what it has pushed; the end travels through the link like a byte, in its place."""
        self._serve(now_s)
        flow.ending = True
        self._take_turns(flow, now_s)

    def drop(self, flow: Flow) -> None:
        """Forget all of `flow`, on the line and in the pipe. The line time that it used stays used."""
        flow.dropped = True
        flow.waiting.clear()
        flow.waiting_bytes = 0
        self._leave_turns(flow)
        self._in_pipe = deque(delivery for delivery in self._in_pipe if delivery.flow is not flow)

    def hold(self, flow: Flow, held: bool, now_s: float) -> None:
        """While its receiver does not take bytes, a flow is held: it uses no line time and others get its share."""
        self._serve(now_s)
        flow.held = held
        if held:
            self._leave_turns(flow)
        else:
            self._take_turns(flow, now_s)

    def set_shape(self, shape: DirectionShape, now_s: float) -> None:
        """From `now_s` on the line has this shape; the quantum that is on the line keeps the old one."""
        self._serve(now_s)
        self._shape = shape

    def stall(self, seconds: float, now_s: float) -> None:
        """Nothing moves until `now_s + seconds`, then all goes on as if the time had not passed."""
        self._serve(now_s)
        pause_s = now_s + seconds - max(self._stalled_until_s, now_s)
        if pause_s <= 0:
            return
        self._stalled_until_s = now_s + seconds
        self._line_free_s = max(self._line_free_s, now_s) + pause_s
        self._in_pipe = deque(
            Delivery(late.flow, late.pieces, max(late.due_s, now_s) + pause_s, late.ends) for late in self._in_pipe
        )

    def advance(self, now_s: float) -> Iterator[Delivery]:
        """Everything that has come out by `now_s`, in order."""
        self._serve(now_s)
        while self._in_pipe and self._in_pipe[0].due_s <= now_s:
            yield self._in_pipe.popleft()

    @property
    def next_event_s(self) -> float | None:
        """When `advance` should be called again at the latest; None while nothing moves."""
        events = []
        if self._turns:
            events.append(self._line_free_s + min(_LONGEST_SLACK_S, self._shape.delay_s / 2))
        if self._in_pipe:
            events.append(self._in_pipe[0].due_s)
        return min(events, default=None)

    def _take_turns(self, flow: Flow, now_s: float) -> None:
        if not flow.wants_line or flow in self._turns:
            return
        if not self._turns:  # the line was idle: it starts now, not when it became free
            self._line_free_s = max(self._line_free_s, now_s)
        self._turns.append(flow)

    def _leave_turns(self, flow: Flow) -> None:
        if flow in self._turns:
            self._turns.remove(flow)

    def _serve(self, now_s: float) -> None:
        """Put on the line every quantum whose turn came by `now_s`."""
        while self._turns and self._line_free_s <= now_s:
            self._send_quantum(self._turns.popleft())

    def _send_quantum(self, flow: Flow) -> None:
        pieces = flow.take(self._quantum_bytes())
        self._line_free_s += 8 * sum(map(len, pieces)) / self._shape.rate_bps
        ends = flow.ending and flow.waiting_bytes == 0
        flow.ending = flow.ending and not ends
        self._in_pipe.append(Delivery(flow, pieces, self._due_s(), ends))
        if flow.wants_line:
            self._turns.append(flow)

    def _due_s(self) -> float:
        jitter_s = self._random.uniform(-self._shape.jitter_s, self._shape.jitter_s) if self._shape.jitter_s else 0.0
        due_s = self._line_free_s + max(0.0, self._shape.delay_s + jitter_s)
        return max(due_s, self._in_pipe[-1].due_s) if self._in_pipe else due_s

    def _quantum_bytes(self) -> int:
        bytes_per_s = self._shape.rate_bps / 8
        small = min(_SMALL_QUANTUM_BYTES, bytes_per_s * _LONGEST_QUANTUM_S)
        return max(1, int(max(small, bytes_per_s * _QUANTUM_S)))
