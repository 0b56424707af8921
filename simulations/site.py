"""One edge and its link on a simulated clock, before cloud replicas of its own or shared, decided by the live chooser
and the live admission.

A request is let in, waits for its turn, then for the edge's worker, runs its prefix, crosses the uplink, waits for the
replica, runs its suffix and comes back. Where it does not in time the edge finishes it, by the live schedule. The
chooser hears what a live edge would tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from isthmus.errors import DeadlineExceeded, IsthmusError, Overloaded
from nodes.admission import Admission, Arriving, EdgeWork
from nodes.chooser import Choice, ChoiceRequest, Chooser, StageTimes, Transfer
from nodes.edge_work import edge_work
from nodes.resume_schedule import ResumeSchedule, Waiting
from nodes.resumption import FINISH_MARGIN, WORK_MARGIN, patience_s
from partitioner.plan_table import PlanEntry, PlanTable
from scheduler.admission.control import AdmissionControl
from simulations.bandwidth_trace import BandwidthTrace
from simulations.edge_worker import EdgeWorker, Work
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica
from simulations.site_link import CHUNK_BYTES, SiteLink
from simulations.site_request import Arrival, Crossing, Served
from simulations.traced_line import TracedLine

__all__ = ["Arrival", "Served", "Site", "SiteFacts"]

_UNBOUNDED = 1 << 30


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What the site is. spread: standard deviation of the logarithm of compute times and of message sizes about what
    the plans' costs say."""

    table: PlanTable
    uplink: BandwidthTrace
    downlink: BandwidthTrace
    rtt_s: float
    spread: float = 0.0


class Site:
    """Give it arrivals, run the simulation, read `served`."""

    def __init__(
        self,
        facts: SiteFacts,
        chooser: Chooser,
        simulation: Simulation,
        replicas: Sequence[SimulatedReplica] = (),
        phase_s: float = 0.0,
        admission: Admission | None = None,
    ) -> None:
        """replicas: shared with other sites; one of its own without any. phase_s: when its echoes and load reports
        begin, so that those of many sites do not come at once. admission: lets in as many as come where it is None."""
        self._facts = facts
        self._replicas = tuple(replicas) or (SimulatedReplica(simulation),)
        self._phase_s = phase_s
        self._chooser = chooser
        self._simulation = simulation
        self._admission = admission or AdmissionControl(_UNBOUNDED, _UNBOUNDED, 0.5)
        self._alone_s = min(entry.costs.edge.at(1) + entry.costs.local_finish.at(1) for entry in facts.table.entries)
        self._schedule = ResumeSchedule()
        self._edge = EdgeWorker(simulation, self._schedule.needed_s)
        lines = TracedLine(facts.uplink), TracedLine(facts.downlink)
        self._link = SiteLink(simulation, chooser, lines, facts.rtt_s, self._replicas)
        self._edge_queue = chooser.edge_queue()
        self._waiting: dict[int, Arrival] = {}
        self.served: list[Served] = []

    def expect(self, arrivals: list[Arrival]) -> None:
        """Let these come, and the link be echoed on until the last one is there."""
        for arrival in arrivals:
            self._simulation.at(arrival.time_s, self._arrive, arrival)
        self._simulation.at(self._phase_s, self._link.connect)
        self._simulation.at(self._phase_s, self._link.echo, max(arrival.time_s for arrival in arrivals))

    def finish_s(self, entry: PlanEntry, arrival: Arrival, now_s: float) -> float:
        """When a request that comes now would be answered by that plan, all that is under way being known; those that
        come later are not. This is what an oracle knows and no chooser can."""
        crossing = Crossing.of(0, arrival, entry, self._facts.spread)
        ready_s = (self._edge.free_s(crossing.due_s, now_s) if entry.edge_works else now_s) + crossing.edge_s
        if entry.plan.kind == "edge-only":
            return ready_s
        half_s, link = self._facts.rtt_s / 2, self._link
        there_s = link.uplink.end_s(crossing.up_bytes, max(ready_s, link.uplink.free_s)) + half_s
        done_s = max(there_s, min(replica.free_s for replica in self._replicas)) + crossing.cloud_s
        return link.downlink.end_s(crossing.down_bytes, max(done_s, link.downlink.free_s)) + half_s

    # ---- let in, or not ----------------------------------------------------------------------------------------

    def _arrive(self, arrival: Arrival) -> None:
        now_s = self._simulation.now_s
        arriving = Arriving(arrival.client, arrival.priority, arrival.deadline_s, self._alone_s)
        try:
            arrived = self._admission.arrive(arriving, now_s)
        except IsthmusError as error:
            self._refuse(arrival, error)
            return
        self._waiting[arrived.number] = arrival
        if arrived.shed is not None:
            self._refuse(self._waiting.pop(arrived.shed), Overloaded("shed"))
        self._start()

    def _refuse(self, arrival: Arrival, error: Exception) -> None:
        reasons = {DeadlineExceeded: "deadline", Overloaded: "shed"}
        reason = next((reason for kind, reason in reasons.items() if isinstance(error, kind)), type(error).__name__)
        self.served.append(Served(arrival, "", 0.0, refused=reason))

    def _start(self) -> None:
        """Whose turn it is. One that is refused at its turn makes room for the next."""
        while started := self._admission.start(self._simulation.now_s):
            for number in started:
                self._place(number, self._waiting.pop(number))

    def _place(self, number: int, arrival: Arrival) -> None:
        now_s = self._simulation.now_s
        queues, table = self._link.cloud_queues, self._facts.table
        place = self._chooser.choose_replica(len(self._replicas), lambda one: queues[one].wait_s(now_s))
        edge_queue_s, uplink_queue_s = self._edge_queue.wait_s(now_s), self._link.way_up.wait_s(now_s)
        cloud_queue_s = queues[place].wait_s(now_s)
        idle = not (edge_queue_s or uplink_queue_s or cloud_queue_s)
        outlook = self._admission.outlook(arrival.due_s, now_s, idle=idle)
        asked = ChoiceRequest(
            table=table,
            form="bytes",
            batch=1,
            file_bytes=arrival.file_bytes,
            remaining_s=None if arrival.deadline_s is None else arrival.deadline_s - now_s,
            edge_queue_s=edge_queue_s,
            cloud_queue_s=cloud_queue_s,
            uplink_queue_s=uplink_queue_s,
            cloud_reachable=self._link.reachable,
            spare_s=outlook.spare_s,
            sureness=outlook.sureness,
        )
        try:
            choice = self._chooser.choose(asked)
        except IsthmusError as error:
            self._admission.ended(number, now_s)
            self._refuse(arrival, error)
            return
        self._begin(Crossing.of(number, arrival, choice.entry, self._facts.spread), choice, asked, place)

    def _begin(self, crossing: Crossing, choice: Choice, asked: ChoiceRequest, place: int) -> None:
        now_s = self._simulation.now_s
        crossing.predicted_s, crossing.place = choice.predicted.total_s, place
        work = edge_work(choice, asked, crossing.arrival.due_s)
        crossing.promised = work.promised
        self._admission.placed(crossing.number, work, now_s)
        if not choice.entry.edge_works:
            self._prefix_ended(crossing)
            return
        self._edge_queue.submitted(crossing.number, work.prefix_s, now_s)
        if work.due_s is not None:
            due_s = work.due_s - WORK_MARGIN * work.finish_s
            crossing.follows = self._schedule.follow(due_s, WORK_MARGIN * work.prefix_s)
        self._work(crossing, crossing.edge_s, self._prefix_ended, can_wait=True)

    # ---- a request ---------------------------------------------------------------------------------------------

    def _work(
        self, crossing: Crossing, seconds: float, then: Callable[[Crossing], None], *, can_wait: bool = False
    ) -> None:
        done, dropped = partial(then, crossing), partial(self._dropped, crossing)
        self._edge.submit(Work(crossing.due_s, seconds, crossing.deadline_s, can_wait, done, dropped))

    def _prefix_left(self, crossing: Crossing) -> None:
        if crossing.follows is not None:
            self._schedule.leave(crossing.follows)
            crossing.follows = None

    def _dropped(self, crossing: Crossing) -> None:
        self._prefix_left(crossing)
        self._edge_queue.finished(crossing.number, self._simulation.now_s)
        self._end(crossing, dropped=True)

    def _end(self, crossing: Crossing, *, resumed: bool = False, dropped: bool = False) -> None:
        now_s, arrival = self._simulation.now_s, crossing.arrival
        plan_id = crossing.entry.plan.plan_id
        self.served.append(Served(arrival, plan_id, now_s - arrival.time_s, resumed, dropped=dropped))
        self._admission.ended(crossing.number, now_s)
        self._start()

    def _prefix_ended(self, crossing: Crossing) -> None:
        now_s = self._simulation.now_s
        self._edge_queue.finished(crossing.number, now_s)
        self._prefix_left(crossing)
        self._admission.prefix_ended(crossing.number, now_s)
        if crossing.entry.plan.kind == "edge-only":
            self._answered(crossing, None)
            return
        link = self._link
        crossing.sent_s = now_s
        link.under_way += 1
        crossing.way_up = link.way_up.sent(crossing.up_bytes, link.uplink_bps(), crossing.predicted_s, now_s)
        link.cloud_queues[crossing.place].sent(crossing.number, crossing.entry.costs.cloud.at(1), now_s)
        began_s, end_s = link.uplink.carry(crossing.up_bytes, now_s)
        crossing.crossed_s = end_s
        if crossing.up_bytes > CHUNK_BYTES:
            first_s = link.uplink.end_s(CHUNK_BYTES, began_s)
            crossing.up = Transfer("up", crossing.up_bytes - CHUNK_BYTES, end_s - first_s)
        self._simulation.at(end_s + self._facts.rtt_s / 2, self._arrived_in_cloud, crossing)
        self._wait(crossing)
        self._start()

    def _wait(self, crossing: Crossing) -> None:
        """Until the answer is late, or the edge must begin to finish it; see `nodes.cloud_asking`."""
        late_s = crossing.sent_s + patience_s(crossing.predicted_s)
        margin = WORK_MARGIN if crossing.promised else FINISH_MARGIN
        finish_s = margin * crossing.entry.costs.local_finish.at(1)
        self._give_up_at(crossing, late_s)
        if not crossing.promised:
            if crossing.arrival.timeout_s is not None:
                self._give_up_at(crossing, min(late_s, crossing.due_s - finish_s))
            return
        waiting = Waiting(crossing.due_s, finish_s, crossing.sent_s + crossing.predicted_s)

        def moved(moment_s: float) -> None:
            if not crossing.ended:
                self._give_up_at(crossing, min(late_s, moment_s))

        crossing.insured = self._schedule.enter(waiting, moved, promised=crossing.promised)

    def _give_up_at(self, crossing: Crossing, moment_s: float) -> None:
        if crossing.patience is not None:
            self._simulation.cancel(crossing.patience)
        crossing.patience = self._simulation.at(max(self._simulation.now_s, moment_s), self._give_up, crossing)

    def _leave_schedule(self, crossing: Crossing) -> None:
        if crossing.insured is not None:
            self._schedule.leave(crossing.insured)
            crossing.insured = None
            self._edge.begin_next()

    def _give_up(self, crossing: Crossing) -> None:
        """The edge finishes a request that the cloud does not answer, unless it has promised its time to others; what
        has not crossed of it never will."""
        now_s, finish_s = self._simulation.now_s, crossing.entry.costs.local_finish.at(1)
        if not self._admission.may_finish(crossing.number, EdgeWork(crossing.arrival.due_s, 0.0, finish_s), now_s):
            return
        crossing.ended = True
        self._link.under_way -= 1
        if now_s >= crossing.sent_s + patience_s(crossing.predicted_s):
            self._link.silent()
        self._link.cloud_queues[crossing.place].finished(crossing.number)
        self._link.way_up.finished(crossing.way_up, now_s)
        self._link.uplink.stop(crossing.crossed_s, now_s)
        self._edge_queue.submitted(crossing.number, crossing.local_s, now_s)
        self._work(crossing, crossing.local_s, self._finished_here)
        self._leave_schedule(crossing)

    def _finished_here(self, crossing: Crossing) -> None:
        self._edge_queue.finished(crossing.number, self._simulation.now_s)
        self._end(crossing, resumed=True)

    def _arrived_in_cloud(self, crossing: Crossing) -> None:
        if crossing.ended:
            return
        replica = self._replicas[crossing.place]
        crossing.queued_s = replica.queued_s
        self._simulation.at(replica.work(crossing.cloud_s), self._suffix_ended, crossing)

    def _suffix_ended(self, crossing: Crossing) -> None:
        reported_s = self._replicas[crossing.place].queued_s
        _, end_s = self._link.downlink.carry(crossing.down_bytes, self._simulation.now_s)
        self._simulation.at(end_s + self._facts.rtt_s / 2, self._answered, crossing, reported_s)

    def _answered(self, crossing: Crossing, reported_s: float | None) -> None:
        if crossing.ended:
            return  # late: discarded
        now_s, arrival, entry = self._simulation.now_s, crossing.arrival, crossing.entry
        crossing.ended = True
        if crossing.patience is not None:
            self._simulation.cancel(crossing.patience)
            self._link.heard()
        self._leave_schedule(crossing)
        if reported_s is None:
            self._link.stayed()
        else:
            self._link.under_way -= 1
            queue = self._link.cloud_queues[crossing.place]
            queue.reported(reported_s, now_s, self._facts.rtt_s / 2)
            queue.finished(crossing.number)
            self._link.way_up.finished(crossing.way_up, now_s)
            self._link.learn(crossing)
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
        self._end(crossing)
