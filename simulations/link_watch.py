"""What an edge's streams find out of their link by themselves: small echoes, and padded ones while requests stay.

Nothing of it is an event of the simulation, so that an edge without requests costs nothing: it is caught up with when
the edge looks, in order and at the times at which it would have happened. That is the same as long as nobody else uses
the link in between; on a shared link it is caught up with as it happens (`follow`).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count

from nodes.chooser import Chooser, Transfer
from nodes.protocol.chunk_sizes import chunk_bytes
from nodes.protocol.link_probe import MOST_PROBE_BYTES, LinkProbe, told_span_s
from nodes.protocol.periods import ECHO_PERIOD_S
from simulations.kernel import Simulation
from simulations.traced_line import TracedLine

__all__ = ["LinkWatch"]

# Of a silence that is longer, only the end is caught up with: three echoes in a row are what the estimate of the round
# trip takes for the path as it is now.
_CAUGHT_UP_S = 4 * ECHO_PERIOD_S


class LinkWatch:
    """under_way: requests that are not answered: no padded echo goes up. crosses_until_s: the edge's own bytes, also of
    what it gave up, cross until then: an echo that leaves before their acknowledgement tells only that they are there.
    heard_s: when something came back last. stop_s: no echo goes up from then on."""

    def __init__(
        self,
        chooser: Chooser,
        lines: tuple[TracedLine, TracedLine],
        half_trip_s: Callable[[float], float],
        start_s: float = 0.0,
    ) -> None:
        """lines: up and down. half_trip_s: of a message that leaves at that moment, one way. start_s: when the stream
        is connected."""
        self._chooser, self._half_trip_s = chooser, half_trip_s
        self._uplink, self._downlink = lines
        self.probe = LinkProbe()
        self.under_way = 0
        self.crosses_until_s = -math.inf
        self.heard_s = 0.0
        self.stop_s = math.inf
        self._next_echo_s = start_s
        self._connected = False
        self._numbers = count()
        # Back at, number, round trip where it teaches, what was seen.
        self._coming: list[tuple[float, int, float | None, Transfer | None]] = []

    def uplink_bps(self) -> float | None:
        """As believed."""
        link = self._chooser.link()
        return None if link is None else link.uplink_bps

    def catch_up(self, now_s: float) -> None:
        """Let happen what was due until now. To be called before anything of the link or the chooser changes."""
        if self._next_echo_s > now_s and not (self._coming and self._coming[0][0] <= now_s):
            return
        while (due_s := self.next_s()) <= now_s:
            if self._coming and self._coming[0][0] == due_s:
                self._returned(*heapq.heappop(self._coming))
            elif missed := self._missed(due_s, now_s):
                self._next_echo_s += missed * ECHO_PERIOD_S
            else:
                self._send_echo(due_s, late=due_s < now_s)

    def _missed(self, due_s: float, now_s: float) -> int:
        """How many echoes from that one on are not gone through. None of a silence of the link itself: the last one
        before it is what was heard last."""
        if not self._connected or self._coming:
            return 0
        missed = max(0, math.ceil((now_s - _CAUGHT_UP_S - due_s) / ECHO_PERIOD_S))
        while missed and not self._passes(due_s + missed * ECHO_PERIOD_S):
            missed -= 1
        return missed

    def _passes(self, now_s: float) -> bool:
        return all(line.passes_s(now_s) == now_s for line in (self._uplink, self._downlink))

    def next_s(self) -> float:
        """When something happens next; infinite for never."""
        echo_s = self._next_echo_s if self._next_echo_s < self.stop_s else math.inf
        return min(echo_s, self._coming[0][0]) if self._coming else echo_s

    def follow(self, simulation: Simulation) -> None:
        """Let it happen when it does, as others use the link besides."""
        self.catch_up(simulation.now_s)
        if (next_s := self.next_s()) < math.inf:
            simulation.at(next_s, self.follow, simulation)

    def _send_echo(self, now_s: float, *, late: bool) -> None:
        """late: the moment is past."""
        self._next_echo_s = now_s + ECHO_PERIOD_S
        if not self._connected:
            # A new stream times its hello and pads its first echo, to see a bandwidth at all.
            self._connected = True
            up_s = self._half_trip_s(now_s)
            self._chooser.observe_rtt(up_s + self._half_trip_s(now_s + up_s), now_s)
            self._send_hello(now_s, late=late)
        elif self._is_clear(now_s) and self.under_way == 0 and self.probe.wants(now_s):
            self._send_probe(self.probe.padding_bytes(now_s), now_s)
            return
        # It goes between two chunks, so it waits for the one that is crossing, if any.
        leaves_s = max(now_s, self._uplink.free_s)
        if leaves_s > now_s:
            leaves_s = min(leaves_s, self._uplink.end_s(chunk_bytes(0, self.uplink_bps()), now_s))
        back_s = self._around_s(self._uplink.passes_s(leaves_s))
        self._expect(back_s, back_s - now_s if self._is_clear(now_s) else None, None)

    def taken_back(self, end_s: float, until_s: float) -> None:
        """What was to cross until `end_s` crosses no longer than until then."""
        if self.crosses_until_s == end_s:
            self.crosses_until_s = until_s

    def _is_clear(self, now_s: float) -> bool:
        """Whether the edge has heard that its bytes are there."""
        crossed_s = self.crosses_until_s
        if crossed_s == -math.inf:  # none has crossed yet
            return True
        return crossed_s < now_s and self._around_s(crossed_s) <= now_s

    def _send_hello(self, now_s: float, *, late: bool) -> None:
        if late and self._uplink.free_s > now_s:
            # Others have used the line since, and who used it then is not known any more: it crosses beside them.
            self._probe_ends(MOST_PROBE_BYTES, self._uplink.end_s(MOST_PROBE_BYTES, now_s), now_s)
        else:
            self._send_probe(MOST_PROBE_BYTES, now_s)

    def _send_probe(self, size_bytes: int, now_s: float) -> None:
        _, end_s = self._uplink.carry(size_bytes, now_s)
        self._probe_ends(size_bytes, end_s, now_s)

    def _probe_ends(self, size_bytes: int, end_s: float, now_s: float) -> None:
        back_s = self._around_s(end_s)
        self._expect(back_s, None, Transfer("up", size_bytes, end_s - now_s))

    def _around_s(self, crossed_s: float) -> float:
        """When a small message that has crossed is answered by one."""
        answered_s = self._downlink.passes_s(crossed_s + self._half_trip_s(crossed_s))
        return answered_s + self._half_trip_s(answered_s)

    def _expect(self, back_s: float, rtt_s: float | None, seen: Transfer | None) -> None:
        heapq.heappush(self._coming, (back_s, next(self._numbers), rtt_s, seen))

    def _returned(self, now_s: float, _: int, rtt_s: float | None, seen: Transfer | None) -> None:
        if seen is None:
            self.heard_s = now_s
            if rtt_s is not None:
                self._chooser.observe_rtt(rtt_s, now_s)
            return
        believed_bps, link = self.uplink_bps(), self._chooser.link()
        rtt_s = 0.0 if link is None else link.rtt_s
        span_s = told_span_s(seen.size_bytes, seen.span_s, rtt_s, believed_bps)
        bps = believed_bps or 0.0
        if span_s is not None:
            self._chooser.observe_transfer(seen._replace(span_s=span_s), now_s)
            bps = 8 * seen.size_bytes / span_s if span_s == seen.span_s else math.inf
        self.probe.returned(bps, believed_bps, now_s)
        if self.under_way == 0 and self.probe.again and self._is_clear(now_s):
            self._send_probe(self.probe.padding_bytes(now_s), now_s)
