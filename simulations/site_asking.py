"""A simulated edge asks the cloud for the answer of a request whose prefix it has made, as `nodes.cloud_asking` does:
one replica for as long as the edge can wait, then another one, or the edge itself, by the live rules.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Protocol

from isthmus.errors import IsthmusError
from nodes.chooser import Chooser
from nodes.resume_schedule import ResumeSchedule, Waiting
from nodes.resumption import (
    FINISH_MARGIN,
    WORK_MARGIN,
    Remote,
    expected_s,
    patience_s,
    remote_s,
    soonest,
    waits_until_s,
)
from simulations.edge_facts import EdgeFacts
from simulations.edge_link import EdgeLink
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica, Suffix, SuffixRan
from simulations.replica_kind import PlanSuffix
from simulations.site_cloud import SiteCloud
from simulations.site_request import Crossing

__all__ = ["OwnEdge", "SiteAsking"]


class OwnEdge(Protocol):
    """The edge that asks."""

    @property
    def queued_s(self) -> float:
        """Seconds of work that wait for it, as it believes."""

    def finish(self, crossing: Crossing) -> None:
        """Compute the rest."""

    def answered(self, crossing: Crossing) -> None:
        """The answer is there."""


class SiteAsking:
    """Of all requests of one edge."""

    def __init__(
        self,
        simulation: Simulation,
        facts: EdgeFacts,
        chooser: Chooser,
        link: EdgeLink,
        cloud: SiteCloud,
        edge: OwnEdge,
    ) -> None:
        self._simulation, self._facts, self._chooser = simulation, facts, chooser
        self._link, self._cloud = link, cloud
        self._schedule, self._edge = ResumeSchedule(), edge

    def ask(self, crossing: Crossing) -> None:
        """The replica that was chosen; where it cannot be asked any more, what there is; without one, the edge."""
        replica, now_s = crossing.replica, self._simulation.now_s
        if replica is None:
            self._finish(crossing)
        elif self._cloud.open(replica, now_s) and not _edge_must_begin(crossing, now_s):
            self._send(crossing, replica)
        else:
            crossing.tried = (replica,)
            self._go_on(crossing)

    def abandon(self, crossing: Crossing) -> None:
        """Nobody wants the answer any more. That says nothing of the replica."""
        under_way = crossing.attempt > 0 and not crossing.ended
        crossing.ended = True
        self._stop_waiting(crossing)
        if under_way:
            crossing.came_to_nothing(self._simulation.now_s)
            self._link.watch.catch_up(self._simulation.now_s)
            self._cloud.turned_away(asked_replica(crossing), crossing.number)
            self._take_back(crossing)

    def _send(self, crossing: Crossing, replica: SimulatedReplica) -> None:
        """Its boundary, and wait for the answer so long at most."""
        now_s = crossing.sent_s = self._simulation.now_s
        answer_s = self._expected_s(crossing, replica)
        crossing.patience_s = patience_s(answer_s)
        crossing.late_s = now_s + crossing.patience_s
        crossing.attempt += 1
        crossing.replica, crossing.tried, crossing.suffix = replica, (*crossing.tried, replica), 0
        attempt = crossing.attempt
        crossing.way, crossing.asked_s = self._link.watched_way(crossing, now_s), math.inf
        crossing.there_s = self._link.send(crossing, answer_s, now_s)
        lost = partial(self._lost, crossing, attempt)
        self._cloud.sent(replica, crossing.number, crossing.suffix_s, now_s, lost)
        crossing.arrived_s = crossing.there_s + self._facts.cloud_overhead_s
        self._simulation.at(crossing.arrived_s + crossing.arrival.cloud_wait_s, self._arrived, crossing, attempt)
        self._wait(crossing, now_s + answer_s)
        self._look_at_way(crossing, attempt)

    # ---- how long it waits -------------------------------------------------------------------------------------

    def _wait(self, crossing: Crossing, answered_s: float) -> None:
        """Until the answer, which is expected then, is late, or the edge must begin to finish it."""
        deadline_s, margin = crossing.arrival.deadline_s, WORK_MARGIN if crossing.promised else FINISH_MARGIN
        ends_s = math.inf if deadline_s is None else _waits_until_s(crossing, self._simulation.now_s, margin)
        self._give_up_at(crossing, ends_s)
        if deadline_s is None or ends_s >= deadline_s:
            return

        def moved(moment_s: float) -> None:
            self._give_up_at(crossing, min(ends_s, moment_s))

        kept_back_s = margin * crossing.finish_s
        waiting = Waiting(crossing.due_s - self._edge.queued_s, kept_back_s, answered_s)
        crossing.insured = self._schedule.enter(waiting, moved, promised=crossing.promised)

    def _give_up_at(self, crossing: Crossing, moment_s: float) -> None:
        """Then, or when it is late."""
        self._forget_patience(crossing)
        crossing.ends_s = moment_s
        when_s = max(self._simulation.now_s, min(moment_s, crossing.late_s))
        late = when_s >= crossing.late_s
        crossing.patience = self._simulation.at(when_s, self._give_up, crossing, late)

    def _forget_patience(self, crossing: Crossing) -> None:
        if crossing.patience is not None:
            self._simulation.cancel(crossing.patience)
            crossing.patience = None

    def _look_at_way(self, crossing: Crossing, attempt: int) -> None:
        """Whether its bytes get up, or the edge shall finish it."""
        if not crossing.waits_for(attempt):
            return
        now_s = self._simulation.now_s
        leaves_s = self._link.leaves_s(crossing, self._edge.queued_s + crossing.finish_s, now_s)
        if leaves_s <= now_s:
            self._leave(crossing, late=False)
        elif leaves_s < math.inf:
            self._simulation.at(leaves_s, self._look_at_way, crossing, attempt)

    def _stop_waiting(self, crossing: Crossing) -> None:
        self._forget_patience(crossing)
        if crossing.insured is not None:
            self._schedule.leave(crossing.insured)
            crossing.insured = None

    # ---- at the replica ----------------------------------------------------------------------------------------

    def _arrived(self, crossing: Crossing, attempt: int) -> None:
        if not crossing.waits_for(attempt):
            return
        replica = asked_replica(crossing)
        plan = replica.kind.suffix(crossing.entry)
        suffix = Suffix(
            plan=plan,
            factor=_factor(crossing, plan),
            ran=partial(self._suffix_ran, crossing, attempt),
            refused=partial(self._turned_away, crossing, attempt),
            deadline_s=crossing.arrival.deadline_s,
            priority=crossing.arrival.priority,
            items=crossing.arrival.items,
            rest_s=crossing.predicted.downlink_s,
        )
        try:
            crossing.suffix = replica.submit(suffix)
        except IsthmusError as error:  # it has too much, drains, or is gone
            self._turned_away(crossing, attempt, error)

    def _suffix_ran(self, crossing: Crossing, attempt: int, ran: SuffixRan) -> None:
        now_s = self._simulation.now_s
        if not crossing.waits_for(attempt):
            self._link.discarded(crossing, now_s)  # given up, which the replica has not heard of yet
            return
        crossing.done_s, crossing.cloud_s = now_s, ran.own_s
        self._simulation.at(self._link.answer(crossing, now_s), self._answered, crossing, attempt)

    def _turned_away(self, crossing: Crossing, attempt: int, _: IsthmusError) -> None:
        """The replica says that it does not run it, which is on its way to the edge."""
        there_s = self._link.small_answer_s(crossing, self._simulation.now_s)
        self._simulation.at(there_s, self._not_run, crossing, attempt)

    # ---- what comes back ---------------------------------------------------------------------------------------

    def _answered(self, crossing: Crossing, attempt: int) -> None:
        if not crossing.waits_for(attempt):
            return  # late: discarded
        now_s, replica = self._simulation.now_s, asked_replica(crossing)
        self._link.watch.catch_up(now_s)
        crossing.ended, crossing.answered_s = True, now_s
        self._stop_waiting(crossing)
        self._link.heard(now_s)
        alone = self._cloud.was_alone(replica, crossing.number)
        self._cloud.answered(replica, crossing.number, now_s)
        self._link.ended(crossing, now_s)
        self._link.learn(crossing, now_s, alone=alone)
        self._edge.answered(crossing)

    def _not_run(self, crossing: Crossing, attempt: int) -> None:
        if not crossing.waits_for(attempt):
            return
        now_s = self._simulation.now_s
        crossing.came_to_nothing(now_s)
        self._link.watch.catch_up(now_s)
        self._stop_waiting(crossing)
        self._link.heard(now_s)
        self._cloud.turned_away(asked_replica(crossing), crossing.number)
        self._link.ended(crossing, now_s)
        self._go_on(crossing)

    def _lost(self, crossing: Crossing, attempt: int) -> None:
        """The connection to the replica has broken."""
        if not crossing.waits_for(attempt):
            return
        now_s = self._simulation.now_s
        crossing.came_to_nothing(now_s)
        self._link.watch.catch_up(now_s)
        self._stop_waiting(crossing)
        self._link.give_up(crossing, now_s)
        self._go_on(crossing)

    # ---- elsewhere ---------------------------------------------------------------------------------------------

    def _give_up(self, crossing: Crossing, late: bool) -> None:
        """The cloud does not answer, whosever time the edge has promised: it goes on elsewhere."""
        now_s = self._simulation.now_s
        if now_s < crossing.ends_s and self._gets_on(crossing, now_s):
            self._give_up_at(crossing, crossing.ends_s)
            return
        self._leave(crossing, late=late)

    def _leave(self, crossing: Crossing, *, late: bool) -> None:
        now_s = self._simulation.now_s
        crossing.came_to_nothing(now_s)
        self._stop_waiting(crossing)
        self._link.watch.catch_up(now_s)
        self._link.learn_unfinished(crossing, now_s)
        self._cloud.gave_up(asked_replica(crossing), crossing.number, crossing.sent_s, now_s, late=late)
        self._take_back(crossing)
        self._go_on(crossing)

    def _gets_on(self, crossing: Crossing, now_s: float) -> bool:
        """Whether it is not late yet, as the link is slow but moves."""
        got_on_s = self._link.got_on_s(crossing, now_s - crossing.patience_s, now_s)
        if got_on_s is not None:
            crossing.late_s = got_on_s + crossing.patience_s
        return crossing.late_s > now_s

    def _take_back(self, crossing: Crossing) -> None:
        """What was sent: its replica hears of it half a round trip later."""
        now_s = self._simulation.now_s
        self._simulation.after(self._link.rtt_s(now_s) / 2, asked_replica(crossing).withdraw, crossing.suffix)
        self._link.give_up(crossing, now_s)

    def _go_on(self, crossing: Crossing) -> None:
        """The cloud has not done it, and will not."""
        other = self._sooner_replica(crossing)
        if other is None:
            self._finish(crossing)
        else:
            self._send(crossing, other)

    def _finish(self, crossing: Crossing) -> None:
        crossing.ended, crossing.gave_up_s = True, self._simulation.now_s
        self._edge.finish(crossing)

    def _sooner_replica(self, crossing: Crossing) -> SimulatedReplica | None:
        """One that has not been asked yet and is predicted to answer before the edge would have finished, where the
        edge can wait for anybody."""
        now_s = self._simulation.now_s
        if _edge_must_begin(crossing, now_s):
            return None
        able = self._cloud.able(now_s, crossing.tried)
        remotes = [Remote(replica, self._remote_s(crossing, replica)) for replica in able]
        return soonest(self._edge.queued_s + crossing.finish_s, remotes)

    def _remote_s(self, crossing: Crossing, replica: SimulatedReplica) -> float:
        """Until that replica would have answered, sent now behind what is on the link; infinite for an unknown link."""
        up_bytes = crossing.said_bytes + self._link.in_flight_bytes
        return remote_s(self._chooser.link(), up_bytes, crossing.down_bytes, self._cloud_s(crossing, replica))

    def _cloud_s(self, crossing: Crossing, replica: SimulatedReplica) -> float:
        """Wait and work there."""
        waits_s = self._cloud.wait_s(replica, self._simulation.now_s) + crossing.arrival.cloud_wait_s
        return waits_s + crossing.suffix_s

    def _expected_s(self, crossing: Crossing, replica: SimulatedReplica) -> float:
        """Of an answer that is about to be asked for there."""
        return expected_s(
            crossing.predicted, self._chooser.link(), self._link.way_up.crossing_s(self._simulation.now_s),
            crossing.said_bytes, crossing.down_bytes, self._cloud_s(crossing, replica),
        )  # fmt: skip


def _edge_must_begin(crossing: Crossing, now_s: float) -> bool:
    """Whether waiting for anybody would leave too little time to finish here."""
    return crossing.arrival.deadline_s is not None and now_s >= _waits_until_s(crossing, now_s, FINISH_MARGIN)


def _waits_until_s(crossing: Crossing, now_s: float, margin: float) -> float:
    """Of a request with a deadline."""
    deadline_s, finish_s = crossing.arrival.deadline_s, crossing.finish_s
    assert deadline_s is not None
    return waits_until_s(now_s, deadline_s, crossing.due_s, finish_s, margin)


def _factor(crossing: Crossing, plan: PlanSuffix) -> float:
    """By which its run differs from t(B): by itself a request of several items takes what its costs say of so many."""
    items, costs, times = crossing.arrival.items, crossing.entry.costs.cloud, plan.times
    if items == 1 or not costs.at(1):
        return crossing.cloud_factor
    return crossing.cloud_factor * costs.at(items) / costs.at(1) * times.at(1) / times.at(items)


def asked_replica(crossing: Crossing) -> SimulatedReplica:
    """Of a request that was sent."""
    assert crossing.replica is not None
    return crossing.replica
