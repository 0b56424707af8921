"""A simulated edge asks the cloud for the answer of a request whose prefix it has made, as `nodes.cloud_asking` does:
one replica for as long as the edge can wait, then another one, or the edge itself, by the live rules.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

from isthmus.errors import IsthmusError
from nodes.chooser import Chooser
from nodes.resume_schedule import ResumeSchedule, Waiting
from nodes.resumption import FINISH_MARGIN, WORK_MARGIN, Remote, patience_s, remote_s, soonest
from simulations.edge_facts import EdgeFacts
from simulations.edge_link import EdgeLink
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica, Suffix, SuffixRan
from simulations.site_cloud import SiteCloud
from simulations.site_request import Crossing

__all__ = ["OwnEdge", "SiteAsking"]


class OwnEdge(Protocol):
    """The edge that asks."""

    @property
    def queued_s(self) -> float:
        """Seconds of work that wait for it."""

    def may_finish(self, crossing: Crossing) -> bool:
        """Whether it shall finish the request; it then does. See Admission."""

    def finish(self, crossing: Crossing) -> None:
        """Compute the rest."""

    def answered(self, crossing: Crossing) -> None:
        """The answer is there."""

    def look_again(self) -> None:
        """What others may need of its compute has changed."""


class SiteAsking:
    """Of all requests of one edge."""

    def __init__(
        self,
        simulation: Simulation,
        facts: EdgeFacts,
        chooser: Chooser,
        link: EdgeLink,
        cloud: SiteCloud,
        schedule: ResumeSchedule,
        edge: OwnEdge,
    ) -> None:
        self._simulation, self._facts, self._chooser = simulation, facts, chooser
        self._link, self._cloud = link, cloud
        self._schedule, self._edge = schedule, edge

    def ask(self, crossing: Crossing) -> None:
        """The replica that was chosen; without one, or where it cannot be asked any more, what there is."""
        replica, now_s = crossing.replica, self._simulation.now_s
        if replica is not None and self._cloud.open(replica, now_s) and not _edge_must_begin(crossing, now_s):
            self._send(crossing, replica)
            return
        crossing.tried = () if replica is None else (replica,)
        self._go_on(crossing)

    def _send(self, crossing: Crossing, replica: SimulatedReplica) -> None:
        """Its boundary, and wait for the answer so long at most."""
        now_s = crossing.sent_s = self._simulation.now_s
        crossing.attempt += 1
        crossing.replica, crossing.tried, crossing.suffix = replica, (*crossing.tried, replica), 0
        attempt, expected_s = crossing.attempt, crossing.entry.costs.cloud.at(1)
        crossing.there_s = self._link.send(crossing, now_s)
        lost = partial(self._lost, crossing, attempt)
        self._cloud.sent(replica, crossing.number, expected_s, now_s, lost)
        waits_s = self._facts.cloud_overhead_s + crossing.arrival.cloud_wait_s
        self._simulation.at(crossing.there_s + waits_s, self._arrived, crossing, attempt)
        self._wait(crossing)

    # ---- how long it waits -------------------------------------------------------------------------------------

    def _wait(self, crossing: Crossing) -> None:
        """Until the answer is late, or the edge must begin to finish it."""
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
        self._forget_patience(crossing)
        crossing.patience = self._simulation.at(max(self._simulation.now_s, moment_s), self._give_up, crossing)

    def _forget_patience(self, crossing: Crossing) -> None:
        if crossing.patience is not None:
            self._simulation.cancel(crossing.patience)
            crossing.patience = None

    def _leave_schedule(self, crossing: Crossing) -> None:
        if crossing.insured is not None:
            self._schedule.leave(crossing.insured)
            crossing.insured = None
            self._edge.look_again()

    # ---- at the replica ----------------------------------------------------------------------------------------

    def _arrived(self, crossing: Crossing, attempt: int) -> None:
        if crossing.ended or attempt != crossing.attempt:
            return
        replica = asked_replica(crossing)
        suffix = Suffix(
            plan=replica.kind.suffix(crossing.entry),
            factor=crossing.cloud_factor,
            ran=partial(self._suffix_ran, crossing, attempt),
            refused=partial(self._turned_away, crossing, attempt),
            deadline_s=crossing.arrival.deadline_s,
            priority=crossing.arrival.priority,
        )
        try:
            crossing.suffix = replica.submit(suffix)
        except IsthmusError as error:  # it has too much, drains, or is gone
            self._turned_away(crossing, attempt, error)

    def _suffix_ran(self, crossing: Crossing, attempt: int, ran: SuffixRan) -> None:
        now_s = crossing.done_s = self._simulation.now_s
        crossing.cloud_s = ran.own_s
        self._simulation.at(self._link.answer(crossing, now_s), self._answered, crossing, attempt)

    def _turned_away(self, crossing: Crossing, attempt: int, _: IsthmusError) -> None:
        """The replica says that it does not run it, which is on its way to the edge."""
        there_s = self._link.small_answer_s(self._simulation.now_s)
        self._simulation.at(there_s, self._not_run, crossing, attempt)

    # ---- what comes back ---------------------------------------------------------------------------------------

    def _answered(self, crossing: Crossing, attempt: int) -> None:
        if crossing.ended or attempt != crossing.attempt:
            return  # late: discarded
        now_s = self._simulation.now_s
        self._link.watch.catch_up(now_s)
        crossing.ended = True
        self._forget_patience(crossing)
        self._link.heard(now_s)
        self._leave_schedule(crossing)
        self._cloud.answered(asked_replica(crossing), crossing.number, now_s)
        self._link.ended(crossing, now_s)
        self._link.learn(crossing, now_s)
        self._edge.answered(crossing)

    def _not_run(self, crossing: Crossing, attempt: int) -> None:
        if crossing.ended or attempt != crossing.attempt:
            return
        now_s = self._simulation.now_s
        self._link.watch.catch_up(now_s)
        self._link.heard(now_s)
        self._cloud.turned_away(asked_replica(crossing), crossing.number)
        self._link.ended(crossing, now_s)
        self._go_on(crossing)

    def _lost(self, crossing: Crossing, attempt: int) -> None:
        """The connection to the replica has broken."""
        if crossing.ended or attempt != crossing.attempt:
            return
        now_s = self._simulation.now_s
        self._link.watch.catch_up(now_s)
        self._link.give_up(crossing, now_s)
        self._go_on(crossing)

    # ---- elsewhere ---------------------------------------------------------------------------------------------

    def _give_up(self, crossing: Crossing) -> None:
        """The cloud does not answer. Another replica is asked if that is sooner; else the edge finishes the request,
        unless it has promised its time to others: then the answer is waited for."""
        now_s, replica = self._simulation.now_s, asked_replica(crossing)
        crossing.patience = None
        self._link.watch.catch_up(now_s)
        late = now_s >= crossing.sent_s + patience_s(crossing.predicted_s)
        other = self._sooner_replica(crossing)
        if other is None and not self._edge.may_finish(crossing):
            return
        if late:
            self._link.silent(now_s)
        self._cloud.gave_up(replica, crossing.number, crossing.sent_s, now_s, late=late)
        self._simulation.after(self._link.rtt_s / 2, replica.withdraw, crossing.suffix)
        self._link.give_up(crossing, now_s)
        self._resume(crossing, other)

    def _go_on(self, crossing: Crossing) -> None:
        """The cloud has not done it, and will not."""
        other = self._sooner_replica(crossing)
        if other is None:
            self._edge.may_finish(crossing)  # what was not promised is done all the same: nobody else will
        self._resume(crossing, other)

    def _resume(self, crossing: Crossing, other: SimulatedReplica | None) -> None:
        self._forget_patience(crossing)
        if other is not None:
            self._leave_schedule(crossing)
            self._send(crossing, other)
            return
        crossing.ended, crossing.gave_up_s = True, self._simulation.now_s
        self._edge.finish(crossing)
        self._leave_schedule(crossing)

    def _sooner_replica(self, crossing: Crossing) -> SimulatedReplica | None:
        """One that has not been asked yet and is predicted to answer before the edge would have finished."""
        if not self._link.reachable:
            return None
        now_s, costs = self._simulation.now_s, crossing.entry.costs
        link, cloud_s = self._chooser.link(), costs.cloud.at(1)
        remotes = [
            Remote(
                one, remote_s(link, crossing.up_bytes, crossing.down_bytes, self._cloud.wait_s(one, now_s) + cloud_s)
            )
            for one in self._cloud.able(now_s, crossing.tried)
        ]
        return soonest(self._edge.queued_s + costs.local_finish.at(1), remotes)


def _edge_must_begin(crossing: Crossing, now_s: float) -> bool:
    """Whether waiting for anybody would leave too little time to finish here."""
    due_s = crossing.arrival.due_s
    return due_s is not None and now_s >= due_s - FINISH_MARGIN * crossing.entry.costs.local_finish.at(1)


def asked_replica(crossing: Crossing) -> SimulatedReplica:
    """Of a request that was sent."""
    assert crossing.replica is not None
    return crossing.replica
