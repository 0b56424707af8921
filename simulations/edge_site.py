"""One edge on a simulated clock, before a link and the cloud's replicas, decided by the live chooser and the live
admission.

A request is let in, waits for its turn, then for the edge's worker, runs its prefix, crosses the uplink, waits for the
replica, runs its suffix and comes back. The chooser hears what a live edge would tell it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from isthmus.errors import DeadlineExceeded, IsthmusError, Overloaded
from nodes.admission import Admission, Arriving, EdgeWork, because_of_others, sooner_s
from nodes.batch_times import BatchTimes
from nodes.batching import WaitingRequest
from nodes.chooser import Choice, ChoiceRequest, Chooser
from nodes.edge_work import DECODED_AT_ONCE_BYTES, edge_work
from partitioner.plan_table import PlanEntry
from scheduler.admission.control import AdmissionControl
from simulations.busy_time import BusyTime
from simulations.edge_facts import EdgeFacts
from simulations.edge_link import EdgeLink
from simulations.edge_worker import EdgeWorker
from simulations.kernel import Event, Simulation
from simulations.refusal_view import foreseen, waits_of
from simulations.replica import SimulatedReplica
from simulations.site_asking import SiteAsking
from simulations.site_cloud import SiteCloud
from simulations.site_lessons import SiteLessons
from simulations.site_request import Arrival, Crossing, Served, StageSeconds

__all__ = ["EdgeSite"]

UNBOUNDED = 1 << 30


class _Asked(NamedTuple):
    """What the chooser was asked for a request, and the replica that would get it; None where none can."""

    request: ChoiceRequest
    replica: SimulatedReplica | None


class EdgeSite:
    """Give it arrivals when they come; `ended` is called with each request when it has ended, once."""

    def __init__(
        self,
        simulation: Simulation,
        facts: EdgeFacts,
        chooser: Chooser,
        link: EdgeLink,
        cloud: SiteCloud,
        ended: Callable[[Served], None],
        admission: Admission | None = None,
        busy: BusyTime | None = None,
    ) -> None:
        """admission: lets in as many as come where it is None. busy: takes down when the edge computes."""
        self._simulation, self._facts, self._chooser = simulation, facts, chooser
        self.link, self._cloud, self._ended_with = link, cloud, ended
        self._admission = admission or AdmissionControl(UNBOUNDED, UNBOUNDED, 0.5)
        self._worker = EdgeWorker(simulation, chooser.edge_queue(), busy, facts.batching)
        self._asking = SiteAsking(simulation, facts, chooser, link, cloud, self)
        self._lessons = SiteLessons(chooser, facts)
        self._waiting: dict[int, Arrival] = {}  # for their turn
        self._crossings: dict[int, Crossing] = {}  # whose turn it was
        self._deadlines: dict[int, Event] = {}
        self._waits = StageSeconds()  # that the request met whose turn was last

    def finish_s(self, entry: PlanEntry, arrival: Arrival, now_s: float) -> float:
        """When a request that comes now would be answered by that plan, all that is under way being known; those that
        come later are not; infinite where no replica can be asked. This is what an oracle knows and no chooser can."""
        self.link.watch.catch_up(now_s)
        crossing = Crossing.of(UNBOUNDED, arrival, entry, self._facts.factors(arrival, entry))
        ready_s = now_s
        if entry.edge_works:
            ready_s = self._worker.free_s(self._prefix(crossing, 0.0, arrival.due_s), now_s) + crossing.edge_s
        if entry.plan.kind == "edge-only":
            return ready_s
        able = self._cloud.able(now_s)
        if not able:
            return math.inf
        link = self.link
        crossed_s = link.uplink.end_s(crossing.up_bytes, max(ready_s, link.uplink.free_s))
        there_s = crossed_s + link.rtt_s(crossed_s) / 2
        done_s = max(there_s, min(replica.free_s for replica in able)) + crossing.cloud_s
        back_s = link.downlink.end_s(crossing.down_bytes, max(done_s, link.downlink.free_s))
        return back_s + link.rtt_s(back_s) / 2

    # ---- let in, or not ----------------------------------------------------------------------------------------

    def arrive(self, arrival: Arrival) -> None:
        """A request comes, now."""
        now_s, arrival = self._simulation.now_s, self._settled(arrival)
        cost_s = self._facts.alone_s(arrival.model, arrival.items)
        arriving = Arriving(
            arrival.client, arrival.priority, arrival.deadline_s, cost_s, arrival.model, bool(arrival.plan_id)
        )
        try:
            arrived = self._admission.arrive(arriving, now_s)
        except IsthmusError as error:
            self._refuse(arrival, error, self._waits)
            return
        self._waiting[arrived.number] = arrival
        if arrival.deadline_s is not None:
            self._deadlines[arrived.number] = self._simulation.at(arrival.deadline_s, self._over, arrived.number)
        if arrived.shed is not None:
            self._forget_deadline(arrived.shed)
            self._refuse(self._waiting.pop(arrived.shed), Overloaded("shed"), self._waits)
        self._start()

    def _settled(self, arrival: Arrival) -> Arrival:
        """With the deadline of whoever decides for it, where that is sooner than its own."""
        if arrival.policy or arrival.plan_id:
            return arrival
        limited_s, canary = self._chooser.arrives(self._facts.table(arrival).model, arrival.request_class)
        if sooner_s(arrival.timeout_s, limited_s) == arrival.timeout_s:
            return replace(arrival, canary=True) if canary else arrival
        return replace(arrival, limited_s=limited_s, canary=canary)

    def _refuse(self, arrival: Arrival, error: Exception, foreseen_s: StageSeconds) -> None:
        reasons = {DeadlineExceeded: "deadline", Overloaded: "shed"}
        reason = next((reason for kind, reason in reasons.items() if isinstance(error, kind)), type(error).__name__)
        took_s = self._simulation.now_s - arrival.time_s
        self._ended_with(Served(arrival, "", took_s, refused=reason, foreseen=foreseen_s))

    def _over(self, number: int) -> None:
        """Its deadline has passed: wherever it is, it ends there."""
        del self._deadlines[number]
        arrival = self._waiting.pop(number, None)
        if arrival is not None:
            self._admission.ended(number, self._simulation.now_s)
            self._refuse(arrival, DeadlineExceeded("the deadline passed before its turn"), self._waits)
            self._start()
            return
        crossing = self._crossings[number]
        self._worker.withdraw(number)
        self._asking.abandon(crossing)
        self._end(crossing, dropped=True)

    def _forget_deadline(self, number: int) -> None:
        event = self._deadlines.pop(number, None)
        if event is not None:
            self._simulation.cancel(event)

    def _start(self) -> None:
        """Whose turn it is. One that is refused at its turn makes room for the next."""
        while started := self._admission.start(self._simulation.now_s):
            for number in started:
                self._place(number, self._waiting.pop(number))

    def _place(self, number: int, arrival: Arrival) -> None:
        asked = self._ask_for(number, arrival)
        self._waits = waits_of(asked.request, self.link)
        if asked.replica is None and arrival.cloud_reachable and self._chooser.may_cross(asked.request):
            self._cloud.want(self._simulation.now_s)
        try:
            choice = self._chooser.choose(asked.request)
        except IsthmusError as error:
            self._turned_away(number, asked.replica, error)
            self._refuse(arrival, error, foreseen(asked.request, self.link, error))
            return
        crossing = Crossing.of(number, arrival, choice.entry, self._facts.factors(arrival, choice.entry))
        crossing.alone = not (self._waiting or self._crossings)
        self._crossings[number] = crossing
        self._begin(crossing, choice, asked)

    def _turned_away(self, number: int, replica: SimulatedReplica | None, error: IsthmusError) -> None:
        """No plan was chosen for one whose turn it was. replica: that would have got it."""
        now_s = self._simulation.now_s
        if because_of_others(error):
            self._admission.crowded_out(number, now_s)
        if replica is not None:
            self.link.watch.probe.stayed(now_s)
        self._admission.ended(number, now_s)
        self._forget_deadline(number)

    def _ask_for(self, number: int, arrival: Arrival) -> _Asked:
        now_s, link = self._simulation.now_s, self.link
        link.watch.catch_up(now_s)
        replica = self._cloud.pick(now_s) if arrival.cloud_reachable else None
        edge_queue_s, uplink_queue_s = self.queued_s, link.way_up.wait_s(now_s)
        cloud_queue_s = 0.0 if replica is None else self._cloud.wait_s(replica, now_s) + arrival.cloud_wait_s
        idle = not (edge_queue_s or uplink_queue_s or cloud_queue_s)
        outlook = self._admission.outlook(number, arrival.due_s, now_s, idle=idle)
        request = ChoiceRequest(
            table=self._facts.table(arrival),
            form=arrival.form,
            batch=arrival.items,
            file_bytes=arrival.file_bytes,
            remaining_s=None if arrival.deadline_s is None else arrival.deadline_s - now_s,
            edge_queue_s=edge_queue_s,
            cloud_queue_s=cloud_queue_s,
            overhead_s=self._facts.overhead_s,
            cloud_reachable=replica is not None,
            plan_id=arrival.plan_id,
            request_class=arrival.request_class,
            now_s=now_s,
            uplink_queue_s=uplink_queue_s,
            spare_s=outlook.spare_s,
            sureness=outlook.sureness,
            idle=outlook.idle,
            came_s=arrival.time_s,
            priority=arrival.priority,
            client=arrival.client,
            policy=arrival.policy,
            asked_s=arrival.timeout_s,
            canary=arrival.canary,
        )
        return _Asked(request, replica)

    # ---- its prefix --------------------------------------------------------------------------------------------

    def _begin(self, crossing: Crossing, choice: Choice, asked: _Asked) -> None:
        now_s = self._simulation.now_s
        crossing.predicted, crossing.cloud_queue_s = choice.predicted, asked.request.cloud_queue_s
        crossing.of_late_s = choice.finish_s
        work = edge_work(choice, asked.request, crossing.arrival.due_s)
        crossing.promised = work.promised
        self._admission.placed(crossing.number, work, now_s)
        if choice.entry.plan.kind != "edge-only":
            crossing.replica = asked.replica
        elif asked.replica is not None:
            self.link.watch.probe.stayed(now_s)
        if not choice.entry.edge_works:
            self._prefix_ended(crossing, 0.0)
            return
        prefix = self._prefix(crossing, work.prefix_s, work.due_s)
        self._worker.submit_piece(prefix, crossing.edge_s, partial(self._prefix_ended, crossing))

    def _prefix(self, crossing: Crossing, expected_s: float, due_s: float | None) -> WaitingRequest:
        """As it waits for its turn. expected_s: what it is predicted to take, 0 for what its plan's costs say."""
        entry, arrival, predicted = crossing.entry, crossing.arrival, crossing.predicted
        times = self._facts.edge_times(entry, arrival.items, expected_s)
        return WaitingRequest(
            crossing.number, self._facts.group(entry), arrival.items, times, self._simulation.now_s,
            arrival.deadline_s, arrival.priority, due_s, predicted.total_s - predicted.edge_s,
        )  # fmt: skip

    def _prefix_ended(self, crossing: Crossing, own_s: float) -> None:
        """own_s: what it took, its companions' part aside."""
        crossing.edge_s = own_s
        now_s = crossing.ready_s = self._simulation.now_s
        self.link.watch.catch_up(now_s)
        self._admission.prefix_ended(crossing.number, now_s)
        if crossing.entry.plan.kind == "edge-only":
            self._end(crossing)
            return
        self._asking.ask(crossing)
        self._start()

    # ---- see OwnEdge -------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether no work waits or runs here."""
        return self._worker.idle

    @property
    def queued_s(self) -> float:
        """Seconds of work that wait for the edge, as it believes."""
        return self._worker.wait_s(self._simulation.now_s)

    def finish(self, crossing: Crossing) -> None:
        """See OwnEdge."""
        arrival, now_s, due_s = crossing.arrival, self._simulation.now_s, crossing.arrival.due_s
        if not self._admission.finishes(crossing.number, EdgeWork(due_s, 0.0, crossing.finish_s), now_s):
            due_s = math.inf
        group = self._facts.group(crossing.entry)._replace(tensors=("suffix", str(arrival.items)))
        suffix = WaitingRequest(
            crossing.number, group, 1, BatchTimes.of({1: crossing.finish_s}), now_s, arrival.deadline_s,
            arrival.priority, due_s,
        )  # fmt: skip
        self._worker.submit_piece(suffix, crossing.local_s, lambda own_s: self._end(crossing, resumed=True))

    def answered(self, crossing: Crossing) -> None:
        """See OwnEdge."""
        if crossing.down_bytes <= DECODED_AT_ONCE_BYTES:
            self._end(crossing)
        else:  # what decoding takes is not measured: it waits for its turn, as live
            self._worker.submit(crossing.number, 0.0, 0.0, partial(self._end, crossing))

    # ---- the end -----------------------------------------------------------------------------------------------

    def _end(self, crossing: Crossing, *, resumed: bool = False, dropped: bool = False) -> None:
        now_s, number = self._simulation.now_s, crossing.number
        if not dropped:
            alone = crossing.alone and len(self._crossings) == 1 and not self._waiting
            self._lessons.learn(crossing, now_s, alone=alone, resumed=resumed)
        del self._crossings[number]
        self._forget_deadline(number)
        self._ended_with(
            crossing.served(now_s, self._facts.besides_s(crossing.entry), resumed=resumed, dropped=dropped)
        )
        self._admission.ended(number, now_s)
        self._start()
