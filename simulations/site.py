"""One edge and its link on a simulated clock, before cloud replicas of its own or shared, decided by the live chooser.

A request waits for the edge's worker, runs its prefix, crosses the uplink, waits for the replica, runs its suffix and
comes back; the chooser hears of it what a live edge would tell it: the spans of transfers when the answer is in, echoes
and load reports twice a second, stage times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import IsthmusError
from nodes.chooser import ChoiceRequest, Chooser, Exchange, StageTimes, Transfer
from nodes.protocol.link_probe import MOST_PROBE_BYTES, LinkProbe
from nodes.resumption import patience_s
from partitioner.plan_table import PlanEntry, PlanTable
from simulations.bandwidth_trace import BandwidthTrace
from simulations.kernel import Event, Simulation
from simulations.replica import SimulatedReplica
from simulations.traced_line import TracedLine

__all__ = ["Arrival", "Served", "Site", "SiteFacts"]

ECHO_EVERY_S = 0.5
# A live stream's chunks at most rates. The first of a message has no span, only what follows it: see nodes/protocol.
_CHUNK_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What the site is. spread: standard deviation of the logarithm of compute times and of message sizes about what
    the plans' costs say."""

    table: PlanTable
    uplink: BandwidthTrace
    downlink: BandwidthTrace
    rtt_s: float
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes at `time_s`. noise: three standard normal draws that make its edge time, its bytes and its
    cloud time differ from the costs: the same request is the same under every chooser."""

    time_s: float
    file_bytes: int
    timeout_s: float | None = None
    noise: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Served:
    """What became of a request. plan_id "" where the chooser refused it: it then took no time. resumed: the edge
    finished what the cloud did not answer."""

    arrival: Arrival
    plan_id: str
    took_s: float
    resumed: bool = False


@dataclass(slots=True)
class _Worker:
    """Works through what comes in order, one at a time."""

    free_s: float = 0.0

    def work(self, seconds: float, now_s: float) -> float:
        self.free_s = max(now_s, self.free_s) + seconds
        return self.free_s


@dataclass(slots=True)
class _Crossing:
    """A request that goes through the cloud, on its way."""

    number: int
    arrival: Arrival
    entry: PlanEntry
    edge_s: float
    cloud_s: float
    up_bytes: int
    down_bytes: int
    predicted_s: float = 0.0
    place: int = 0
    sent_s: float = 0.0
    crossed_s: float = 0.0
    up: Transfer | None = None
    queued_s: float = 0.0
    way_up: int = -1
    patience: Event | None = None
    ended: bool = False


class Site:
    """Give it arrivals, run the simulation, read `served`."""

    def __init__(
        self,
        facts: SiteFacts,
        chooser: Chooser,
        simulation: Simulation,
        replicas: Sequence[SimulatedReplica] = (),
        phase_s: float = 0.0,
    ) -> None:
        """replicas: shared with other sites; one of its own without any. phase_s: when its echoes and load reports
        begin, so that those of many sites do not come at once."""
        self._facts = facts
        self._replicas = tuple(replicas) or (SimulatedReplica(simulation),)
        self._phase_s = phase_s
        self._chooser = chooser
        self._simulation = simulation
        self._edge = _Worker()
        self._uplink, self._downlink = TracedLine(facts.uplink), TracedLine(facts.downlink)
        self._edge_queue = chooser.edge_queue()
        self._cloud_queues = [chooser.cloud_queue() for _ in self._replicas]
        self._probe = LinkProbe()
        self._way_up = chooser.way_up()
        self._crossing_count = 0
        self._heard_s, self._silent_since_s = 0.0, -1.0
        self._count = 0
        self.served: list[Served] = []

    def expect(self, arrivals: list[Arrival]) -> None:
        """Let these come, and the link be echoed on until the last one is there."""
        for arrival in arrivals:
            self._simulation.at(arrival.time_s, self._arrive, arrival)
        self._simulation.at(self._phase_s, self._connect)
        self._simulation.at(self._phase_s, self._echo, max(arrival.time_s for arrival in arrivals))

    def finish_s(self, entry: PlanEntry, arrival: Arrival, now_s: float) -> float:
        """When a request that comes now would be answered by that plan, all that is under way being known; those that
        come later are not. This is what an oracle knows and no chooser can."""
        crossing = self._crossing(entry, arrival)
        ready_s = max(now_s, self._edge.free_s) + crossing.edge_s if entry.edge_works else now_s + crossing.edge_s
        if entry.plan.kind == "edge-only":
            return ready_s
        half_s = self._facts.rtt_s / 2
        there_s = self._uplink.end_s(crossing.up_bytes, max(ready_s, self._uplink.free_s)) + half_s
        done_s = max(there_s, min(replica.free_s for replica in self._replicas)) + crossing.cloud_s
        return self._downlink.end_s(crossing.down_bytes, max(done_s, self._downlink.free_s)) + half_s

    # ---- a request ---------------------------------------------------------------------------------------------

    def _arrive(self, arrival: Arrival) -> None:
        now_s, table = self._simulation.now_s, self._facts.table
        place = self._chooser.choose_replica(len(self._replicas), lambda one: self._cloud_queues[one].wait_s(now_s))
        asked = ChoiceRequest(
            table=table,
            form="bytes",
            batch=1,
            file_bytes=arrival.file_bytes,
            remaining_s=arrival.timeout_s,
            edge_queue_s=self._edge_queue.wait_s(now_s),
            cloud_queue_s=self._cloud_queues[place].wait_s(now_s),
            uplink_queue_s=self._way_up.wait_s(now_s),
            cloud_reachable=self._heard_s > self._silent_since_s,
        )
        try:
            choice = self._chooser.choose(asked)
        except IsthmusError:
            self.served.append(Served(arrival, "", 0.0))
            return
        self._count += 1
        crossing = self._crossing(choice.entry, arrival)
        crossing.predicted_s, crossing.place = choice.predicted.total_s, place
        if not choice.entry.edge_works:
            self._prefix_ended(crossing)
            return
        expected_s = max(0.0, choice.predicted.edge_s - asked.edge_queue_s)
        self._edge_queue.submitted(crossing.number, expected_s, now_s)
        self._simulation.at(self._edge.work(crossing.edge_s, now_s), self._prefix_ended, crossing)

    def _crossing(self, entry: PlanEntry, arrival: Arrival) -> _Crossing:
        edge_noise, size_noise, cloud_noise = (_factor(self._facts.spread, one) for one in arrival.noise)
        costs, file_bytes = entry.costs, arrival.file_bytes if entry.file_crosses else 0
        up_bytes = round((entry.uplink_bytes(1, arrival.file_bytes) - file_bytes) * size_noise) + file_bytes
        edge_s, cloud_s = costs.edge.at(1) * edge_noise, costs.cloud.at(1) * cloud_noise
        return _Crossing(self._count, arrival, entry, edge_s, cloud_s, up_bytes, entry.downlink_bytes(1))

    def _prefix_ended(self, crossing: _Crossing) -> None:
        now_s = self._simulation.now_s
        self._edge_queue.finished(crossing.number, now_s)
        if crossing.entry.plan.kind == "edge-only":
            self._answered(crossing, None)
            return
        crossing.sent_s = now_s
        self._crossing_count += 1
        crossing.way_up = self._way_up.sent(crossing.up_bytes, self._uplink_bps(), crossing.predicted_s, now_s)
        self._cloud_queues[crossing.place].sent(crossing.number, crossing.entry.costs.cloud.at(1), now_s)
        began_s, end_s = self._uplink.carry(crossing.up_bytes, now_s)
        crossing.crossed_s = end_s
        crossing.patience = self._simulation.after(patience_s(crossing.predicted_s), self._give_up, crossing)
        if crossing.up_bytes > _CHUNK_BYTES:
            first_s = self._uplink.end_s(_CHUNK_BYTES, began_s)
            crossing.up = Transfer("up", crossing.up_bytes - _CHUNK_BYTES, end_s - first_s)
        self._simulation.at(end_s + self._facts.rtt_s / 2, self._arrived_in_cloud, crossing)

    def _give_up(self, crossing: _Crossing) -> None:
        """The edge finishes a request that the cloud does not answer; what has not crossed of it never will."""
        now_s = self._simulation.now_s
        crossing.ended = True
        self._crossing_count -= 1
        self._silent_since_s = now_s
        self._cloud_queues[crossing.place].finished(crossing.number)
        self._way_up.finished(crossing.way_up, now_s)
        self._uplink.stop(crossing.crossed_s, now_s)
        local_s = crossing.entry.costs.local_finish.at(1) * _factor(self._facts.spread, crossing.arrival.noise[2])
        self._edge_queue.submitted(crossing.number, local_s, now_s)
        self._simulation.at(self._edge.work(local_s, now_s), self._finished_here, crossing)

    def _finished_here(self, crossing: _Crossing) -> None:
        now_s = self._simulation.now_s
        self._edge_queue.finished(crossing.number, now_s)
        self.served.append(Served(crossing.arrival, crossing.entry.plan.plan_id, now_s - crossing.arrival.time_s, True))

    def _arrived_in_cloud(self, crossing: _Crossing) -> None:
        if crossing.ended:
            return
        replica = self._replicas[crossing.place]
        crossing.queued_s = replica.queued_s
        self._simulation.at(replica.work(crossing.cloud_s), self._suffix_ended, crossing)

    def _suffix_ended(self, crossing: _Crossing) -> None:
        reported_s = self._replicas[crossing.place].queued_s
        _, end_s = self._downlink.carry(crossing.down_bytes, self._simulation.now_s)
        self._simulation.at(end_s + self._facts.rtt_s / 2, self._answered, crossing, reported_s)

    def _answered(self, crossing: _Crossing, reported_s: float | None) -> None:
        if crossing.ended:
            return  # late: discarded
        now_s, arrival, entry = self._simulation.now_s, crossing.arrival, crossing.entry
        if crossing.patience is not None:
            self._simulation.cancel(crossing.patience)
            self._heard_s = now_s
        self.served.append(Served(arrival, entry.plan.plan_id, now_s - arrival.time_s))
        if reported_s is None:
            self._probe.stayed(now_s)
        else:
            self._crossing_count -= 1
            queue = self._cloud_queues[crossing.place]
            queue.reported(reported_s, now_s, self._facts.rtt_s / 2)
            queue.finished(crossing.number)
            self._way_up.finished(crossing.way_up, now_s)
            self._learn_of_link(crossing)
        self._chooser.observe_stages(
            StageTimes(
                entry=entry,
                batch=1,
                file_bytes=arrival.file_bytes,
                edge_s=crossing.edge_s,
                cloud_s=None if reported_s is None else crossing.cloud_s,
                uplink_bytes=None if reported_s is None else crossing.up_bytes,
            )
        )

    # ---- what the chooser hears of the link --------------------------------------------------------------------

    def _learn_of_link(self, crossing: _Crossing) -> None:
        now_s = self._simulation.now_s
        if crossing.up is not None:
            self._chooser.observe_transfer(crossing.up, now_s)
            self._probe.crossed(now_s)
            return
        wire_s = now_s - crossing.sent_s - crossing.queued_s - crossing.cloud_s
        self._chooser.observe_exchange(Exchange(crossing.up_bytes, crossing.down_bytes, wire_s), now_s)
        self._probe.crossed(now_s)

    def _uplink_bps(self) -> float | None:
        link = self._chooser.link()
        return None if link is None else link.uplink_bps

    def _connect(self) -> None:
        """A new stream pads its first echo to see a bandwidth at all."""
        self._chooser.observe_rtt(self._facts.rtt_s, self._simulation.now_s)
        self._send_probe(MOST_PROBE_BYTES)

    def _send_probe(self, size_bytes: int) -> None:
        now_s = self._simulation.now_s
        _, end_s = self._uplink.carry(size_bytes, now_s)
        self._simulation.at(end_s + self._facts.rtt_s, self._probed, Transfer("up", size_bytes, end_s - now_s))

    def _probed(self, seen: Transfer) -> None:
        now_s, believed_bps = self._simulation.now_s, self._uplink_bps()
        self._chooser.observe_transfer(seen, now_s)
        self._probe.returned(8 * seen.size_bytes / seen.span_s, believed_bps, now_s)
        if self._crossing_count == 0 and self._probe.again:
            self._send_probe(self._probe.padding_bytes(believed_bps, now_s))

    def _echo(self, until_s: float) -> None:
        now_s = self._simulation.now_s
        if now_s >= until_s:
            return
        self._simulation.after(ECHO_EVERY_S, self._echo, until_s)
        reports = [replica.queued_s for replica in self._replicas]
        self._simulation.after(self._facts.rtt_s / 2, self._reported, reports)
        if self._crossing_count == 0 and (padding := self._probe.padding_bytes(self._uplink_bps(), now_s)):
            self._send_probe(padding)
            return
        # It goes between two chunks, so it waits for the one that is crossing, if any.
        waits_s = min(max(0.0, self._uplink.free_s - now_s), self._uplink.end_s(_CHUNK_BYTES, now_s) - now_s)
        back_s = self._facts.rtt_s + waits_s
        self._simulation.after(back_s, self._echoed, back_s)

    def _reported(self, queued_s: list[float]) -> None:
        for queue, one_s in zip(self._cloud_queues, queued_s, strict=True):
            queue.reported(one_s, self._simulation.now_s, self._facts.rtt_s / 2)

    def _echoed(self, rtt_s: float) -> None:
        self._heard_s = self._simulation.now_s
        self._chooser.observe_rtt(rtt_s, self._simulation.now_s)


def _factor(spread: float, draw: float) -> float:
    """A log-normal factor whose mean is 1: the costs stay what they are, in the mean."""
    return math.exp(spread * draw - spread * spread / 2)
