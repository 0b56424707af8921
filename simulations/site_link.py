"""A simulated site's link, and what its chooser hears of it: the spans of transfers when the answer is in, echoes and
load reports twice a second, probes while nothing crosses."""

from __future__ import annotations

from collections.abc import Sequence

from nodes.chooser import Chooser, Exchange, Transfer
from nodes.protocol.link_probe import MOST_PROBE_BYTES, LinkProbe
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica
from simulations.site_request import Crossing
from simulations.traced_line import TracedLine

__all__ = ["CHUNK_BYTES", "ECHO_EVERY_S", "SiteLink"]

ECHO_EVERY_S = 0.5
# A live stream's chunks at most rates. The first of a message has no span, only what follows it: see nodes/protocol.
CHUNK_BYTES = 32 * 1024


class SiteLink:
    """under_way: requests that cross. cloud_queues: of each replica, as the chooser believes."""

    def __init__(
        self,
        simulation: Simulation,
        chooser: Chooser,
        lines: tuple[TracedLine, TracedLine],
        rtt_s: float,
        replicas: Sequence[SimulatedReplica],
    ) -> None:
        """lines: up and down."""
        self._simulation, self._chooser, self._replicas = simulation, chooser, replicas
        self.uplink, self.downlink = lines
        self.rtt_s = rtt_s
        self.way_up = chooser.way_up()
        self.cloud_queues = [chooser.cloud_queue() for _ in replicas]
        self._probe = LinkProbe()
        self.under_way = 0
        self._heard_s, self._silent_since_s = 0.0, -1.0

    @property
    def reachable(self) -> bool:
        """Whether the cloud answered since it last did not."""
        return self._heard_s > self._silent_since_s

    def uplink_bps(self) -> float | None:
        """As believed."""
        link = self._chooser.link()
        return None if link is None else link.uplink_bps

    def silent(self) -> None:
        """A request was given up."""
        self._silent_since_s = self._simulation.now_s

    def heard(self) -> None:
        """Something came back."""
        self._heard_s = self._simulation.now_s

    def stayed(self) -> None:
        """A request did not need the link."""
        self._probe.stayed(self._simulation.now_s)

    def learn(self, crossing: Crossing) -> None:
        """From a request that was answered over it."""
        now_s = self._simulation.now_s
        if crossing.up is not None:
            self._chooser.observe_transfer(crossing.up, now_s)
            self._probe.crossed(now_s)
            return
        wire_s = now_s - crossing.sent_s - crossing.queued_s - crossing.cloud_s
        self._chooser.observe_exchange(Exchange(crossing.up_bytes, crossing.down_bytes, wire_s), now_s)
        self._probe.crossed(now_s)

    def connect(self) -> None:
        """A new stream pads its first echo to see a bandwidth at all."""
        self._chooser.observe_rtt(self.rtt_s, self._simulation.now_s)
        self._send_probe(MOST_PROBE_BYTES)

    def _send_probe(self, size_bytes: int) -> None:
        now_s = self._simulation.now_s
        _, end_s = self.uplink.carry(size_bytes, now_s)
        self._simulation.at(end_s + self.rtt_s, self._probed, Transfer("up", size_bytes, end_s - now_s))

    def _probed(self, seen: Transfer) -> None:
        now_s, believed_bps = self._simulation.now_s, self.uplink_bps()
        self._chooser.observe_transfer(seen, now_s)
        self._probe.returned(8 * seen.size_bytes / seen.span_s, believed_bps, now_s)
        if self.under_way == 0 and self._probe.again:
            self._send_probe(self._probe.padding_bytes(believed_bps, now_s))

    def echo(self, until_s: float) -> None:
        """Now, and on until then."""
        now_s = self._simulation.now_s
        if now_s >= until_s:
            return
        self._simulation.after(ECHO_EVERY_S, self.echo, until_s)
        reports = [replica.queued_s for replica in self._replicas]
        self._simulation.after(self.rtt_s / 2, self._reported, reports)
        if self.under_way == 0 and (padding := self._probe.padding_bytes(self.uplink_bps(), now_s)):
            self._send_probe(padding)
            return
        # It goes between two chunks, so it waits for the one that is crossing, if any.
        waits_s = min(max(0.0, self.uplink.free_s - now_s), self.uplink.end_s(CHUNK_BYTES, now_s) - now_s)
        back_s = self.rtt_s + waits_s
        self._simulation.after(back_s, self._echoed, back_s)

    def _reported(self, queued_s: list[float]) -> None:
        for queue, one_s in zip(self.cloud_queues, queued_s, strict=True):
            queue.reported(one_s, self._simulation.now_s, self.rtt_s / 2)

    def _echoed(self, rtt_s: float) -> None:
        self.heard()
        self._chooser.observe_rtt(rtt_s, self._simulation.now_s)
