"""A simulated edge's link: what crosses it and when, and what the edge's chooser hears of it."""

from __future__ import annotations

import math
from typing import Literal

from nodes.chooser import Chooser, Exchange, Transfer
from nodes.protocol.chunk_sizes import opening_bytes
from nodes.protocol.progress import Progress
from nodes.protocol.receipts import ACK_EVERY_BYTES
from nodes.way_watch import WayWatch
from simulations.busy_time import BusyTime
from simulations.link_delay import LinkDelay
from simulations.link_watch import LinkWatch
from simulations.site_request import Crossing
from simulations.traced_line import TracedLine

__all__ = ["EdgeLink"]


class EdgeLink:
    """uplink, downlink: may be shared with other edges. way_up, watch: the edge's own. busy: of each direction.
    in_flight_bytes: of requests that were sent and are not answered."""

    def __init__(
        self,
        chooser: Chooser,
        lines: tuple[TracedLine, TracedLine],
        delays: tuple[LinkDelay, LinkDelay],
        busy: tuple[BusyTime, BusyTime],
        phase_s: float = 0.0,
        radio: BusyTime | None = None,
    ) -> None:
        """lines, delays, busy: up and down. phase_s: when the edge connects, from which its echoes go. radio: takes
        down how long bytes of the edge's requests cross, each way by itself: others' on a shared line are not its."""
        self._chooser = chooser
        self.uplink, self.downlink = lines
        self._up_delay, self._down_delay = delays
        self._busy_up, self._busy_down = busy
        self._radio = radio or BusyTime()
        self.way_up = chooser.way_up()
        self.watch = LinkWatch(chooser, lines, self._up_delay.draw_s, phase_s)
        self._heard_s = 0.0
        self.in_flight_bytes = 0

    @property
    def usual_rtt_s(self) -> float:
        """Without jitter; for whoever wants one number."""
        return self._up_delay.usual_s + self._down_delay.usual_s

    def rtt_s(self, moment_s: float) -> float:
        """Of what leaves then, without jitter."""
        return self._up_delay.mean_s(moment_s) + self._down_delay.mean_s(moment_s)

    @property
    def heard_s(self) -> float:
        """When anything came back last."""
        return max(self._heard_s, self.watch.heard_s)

    def heard(self, now_s: float) -> None:
        """Something came back."""
        self._heard_s = now_s

    def send(self, crossing: Crossing, expected_s: float, now_s: float) -> float:
        """The request's boundary goes up; when it is there. expected_s: until the answer is back."""
        began_s, end_s = self.uplink.carry(crossing.up_bytes, now_s)
        self._busy_up.add(began_s, end_s)
        self._radio.add(began_s, end_s)
        crossing.began_s, crossing.crossed_s = began_s, end_s
        crossing.up = _seen("up", self.uplink, crossing.up_bytes, self.watch.uplink_bps(), (began_s, end_s))
        self.watch.under_way += 1
        self.watch.crosses_until_s = end_s
        self.in_flight_bytes += crossing.up_bytes
        crossing.way_up = self.way_up.sent(crossing.up_bytes, self.watch.uplink_bps(), expected_s, now_s)
        return self._up_delay.arrives_s(end_s, now_s, crossing.message)

    def got_on_s(self, crossing: Crossing, since_s: float, now_s: float) -> float | None:
        """When its edge last heard that bytes of its boundary had crossed, or such as were before it on the line; None
        where those since then are too few to be acknowledged."""
        since_s, until_s = max(since_s, crossing.sent_s), min(now_s, crossing.crossed_s)
        if since_s >= until_s or self.uplink.end_s(ACK_EVERY_BYTES, since_s) > until_s:
            return None
        return min(now_s, until_s + self.rtt_s(until_s))

    def watched_way(self, crossing: Crossing, now_s: float) -> WayWatch | None:
        """For a request that is about to be sent."""
        link = self._chooser.link()
        if link is None:
            return None
        return WayWatch(now_s, link.uplink_s(crossing.said_bytes + self.in_flight_bytes), link.rtt_s, 0)

    def leaves_s(self, crossing: Crossing, finish_s: float, now_s: float) -> float:
        """See WayWatch; never where its way is not watched."""

        def ask() -> None:
            crossing.asked_s = now_s

        if crossing.way is None:
            return math.inf
        return crossing.way.leaves_s(now_s, self._progress(crossing, now_s), crossing.up_bytes, finish_s, ask)

    def _progress(self, crossing: Crossing, now_s: float) -> Progress:
        """What its edge has heard by now of its bytes and those before them, counted from its sending: they are
        acknowledged as they get through, a few at its end only by an echo that followed them."""
        size = round(self.uplink.carried_bytes(crossing.sent_s, crossing.crossed_s))
        heard_s = now_s - self.rtt_s(now_s)
        if heard_s >= max(crossing.crossed_s, crossing.asked_s):
            return Progress(size, now_s, size)
        crossed = self.uplink.carried_bytes(crossing.sent_s, min(heard_s, crossing.crossed_s))
        acknowledged = int(crossed // ACK_EVERY_BYTES) * ACK_EVERY_BYTES
        return Progress(min(acknowledged, size), now_s, size)

    def answer(self, crossing: Crossing, now_s: float) -> float:
        """The answer's bytes come down; when they are there."""
        began_s, end_s = self._carry_down(crossing, now_s)
        link = self._chooser.link()
        believed_bps = None if link is None else link.downlink_bps
        crossing.down = _seen("down", self.downlink, crossing.down_bytes, believed_bps, (began_s, end_s))
        return self._down_delay.arrives_s(end_s, now_s, crossing.message)

    def discarded(self, crossing: Crossing, now_s: float) -> None:
        """An answer that nobody waits for any more comes down all the same."""
        _, end_s = self._carry_down(crossing, now_s)
        self._down_delay.arrives_s(end_s, now_s, crossing.message)

    def _carry_down(self, crossing: Crossing, now_s: float) -> tuple[float, float]:
        began_s, end_s = self.downlink.carry(crossing.down_bytes, now_s)
        self._busy_down.add(began_s, end_s)
        self._radio.add(began_s, end_s)
        return began_s, end_s

    def small_answer_s(self, crossing: Crossing, now_s: float) -> float:
        """When a message of a few bytes, a refusal, has come down."""
        return self._down_delay.arrives_s(self.downlink.passes_s(now_s), now_s, crossing.message)

    def ended(self, crossing: Crossing, now_s: float) -> None:
        """The request has no bytes under way any more."""
        self.watch.under_way -= 1
        self.in_flight_bytes -= crossing.up_bytes
        self.way_up.finished(crossing.way_up, now_s)

    def give_up(self, crossing: Crossing, now_s: float) -> None:
        """What has not crossed of it never will."""
        self.ended(crossing, now_s)
        until_s = self.uplink.stop(crossing.began_s, crossing.crossed_s, now_s)
        self.watch.taken_back(crossing.crossed_s, until_s)
        self._busy_up.take_back(until_s, crossing.crossed_s)
        self._radio.take_back(until_s, crossing.crossed_s)
        self._up_delay.take_back(crossing.there_s)

    def learn_unfinished(self, crossing: Crossing, now_s: float) -> None:
        """From a request that is not waited for any more, where its bytes were not there."""
        way = crossing.way
        if way is not None and way.unfinished is not None:
            self._chooser.observe_transfer(Transfer("up", *way.unfinished, finished=False), now_s)
        self.watch.probe.stayed(now_s)

    def learn(self, crossing: Crossing, now_s: float, *, alone: bool) -> None:
        """From a request that was answered over it: from what came in chunks, either way; else from its whole way, if
        it was alone on its stream, as other requests would be in that."""
        for transfer in (crossing.up, crossing.down):
            if transfer is not None:
                self._chooser.observe_transfer(transfer, now_s)
        if crossing.up is None and alone:
            wire_s = now_s - crossing.sent_s - (crossing.done_s - crossing.arrived_s)
            self._chooser.observe_exchange(Exchange(crossing.up_bytes, crossing.down_bytes, wire_s), now_s)
        self.watch.probe.crossed(crossing.up_bytes, now_s)


def _seen(
    direction: Literal["up", "down"],
    line: TracedLine,
    size_bytes: int,
    believed_bps: float | None,
    crosses_s: tuple[float, float],
) -> Transfer | None:
    """What a receiver sees of a message that crosses between the two moments: the first frame has no span, only what
    follows it. Where nothing is believed of the line that frame is the least."""
    began_s, end_s = crosses_s
    first_bytes = opening_bytes(size_bytes, believed_bps or 0.0)
    if size_bytes <= first_bytes:
        return None
    return Transfer(direction, size_bytes - first_bytes, end_s - line.end_s(first_bytes, began_s))
