"""A request at a simulated site: as it comes, on its way, and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from nodes.chooser import Transfer
from nodes.resumption import due_after_s
from nodes.way_watch import WayWatch
from partitioner.plan import InputForm, Prediction
from partitioner.plan_table import PlanEntry
from simulations.kernel import Event
from simulations.replica import SimulatedReplica
from simulations.request_spread import RequestFactors
from simulations.run_record import Outcome

__all__ = ["Arrival", "Crossing", "Served", "StageSeconds"]

_NOTHING = Prediction.of(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes at `time_s`. client, priority: see `nodes.admission.Arriving`. noise: three standard normal
    draws that make its edge time, its bytes and its cloud time differ from the costs: the same request is the same
    under every chooser. model: "" for the only one. policy, plan_id: that the request itself asks for, "" for none.
    cloud_reachable: False where a recording says that no replica was. cloud_wait_s: what others' work makes it wait
    there, beside what is simulated. items: that it holds. timeout_s: the client's own; limited_s: that of whoever
    decides, where it is sooner; canary: whether that is the canary."""

    time_s: float
    file_bytes: int
    timeout_s: float | None = None
    noise: tuple[float, float, float] = (0.0, 0.0, 0.0)
    client: str = ""
    priority: int = 0
    model: str = ""
    request_class: str = ""
    form: InputForm = "bytes"
    policy: str = ""
    plan_id: str = ""
    cloud_reachable: bool = True
    cloud_wait_s: float = 0.0
    items: int = 1
    limited_s: float | None = None
    canary: bool = False

    @property
    def within_s(self) -> float | None:
        """In what time it has to be answered, None for whenever."""
        return self.timeout_s if self.limited_s is None else self.limited_s

    @property
    def deadline_s(self) -> float | None:
        """None without one."""
        return None if self.within_s is None else self.time_s + self.within_s

    @property
    def due_s(self) -> float | None:
        """When the edge shall have finished, if it must; None without a deadline."""
        return None if self.within_s is None else self.time_s + due_after_s(self.within_s)


class StageSeconds(NamedTuple):  # as Served made for each request, in a third of the time of a frozen dataclass
    """Where the time of a request went, as `run_record.EndedRequest` has it."""

    edge_queue_s: float = 0.0
    edge_s: float = 0.0
    uplink_s: float = 0.0
    cloud_queue_s: float = 0.0
    cloud_s: float = 0.0
    downlink_s: float = 0.0
    finish_s: float = 0.0


_NO_STAGES = StageSeconds()


class Served(NamedTuple):
    """What became of a request. plan_id "" where none was chosen: it was refused. took_s: until then. resumed: the edge
    finished what the cloud did not answer. refused: "deadline", "shed" or another reason, "" for one that was let in.
    dropped: its turn had come, and its deadline passed before it was answered. replica: that answered. promised: see
    Crossing. foreseen: of a refused one, the waits that it would have met and what its quickest plan would have taken
    besides, as far as the edge looked."""

    arrival: Arrival
    plan_id: str
    took_s: float
    resumed: bool = False
    refused: str = ""
    dropped: bool = False
    kind: str = ""
    replica: str = ""
    up_bytes: int = 0
    down_bytes: int = 0
    stages: StageSeconds = _NO_STAGES
    promised: bool = False
    foreseen: StageSeconds = _NO_STAGES

    @property
    def answered(self) -> bool:
        """Whether there was an answer, however late."""
        return not (self.refused or self.dropped)

    @property
    def in_time(self) -> bool:
        """Whether it was answered, and by its deadline where it had one."""
        return self.answered and (self.arrival.within_s is None or self.took_s <= self.arrival.within_s)

    @property
    def outcome(self) -> Outcome:
        """In one word."""
        if self.refused:
            return "refused"
        if self.dropped:
            return "dropped"
        return "resumed" if self.resumed else "answered"


@dataclass(slots=True)
class Crossing:
    """A request whose plan is chosen, on its way. number: that of its admission. promised: the edge has the time to
    finish it, whatever the cloud does. attempt: counts its sendings; what comes back of an earlier one is discarded.
    alone: no other request was here when its turn came; cloud_queue_s: the wait at the replica that was predicted then.
    of_late_s: what the edge is predicted to take to finish it, None for what the costs say; local_s: what it does take.

    suffix: its number at the replica, 0 before it is there. ready_s: when its prefix was made. Of the last sending:
    sent_s, began_s, crossed_s, there_s: when its boundary was sent, began to cross, had crossed, was there; arrived_s:
    when the replica had made a request of it, from which it counts the wait; done_s: when its suffix had ended;
    answered_s: when its answer was back. there_in_vain_s, back_in_vain_s: what sendings that came to nothing spent
    at their replicas, and their answers on the way back. gave_up_s: when the edge went on alone. late_s: from when on
    its answer is late, whatever the deadline: patience_s after it last got on. ends_s: when it is waited for no longer
    in any case. way: whether its bytes get up; asked_s: when an echo followed them to find out.
    """

    number: int
    arrival: Arrival
    entry: PlanEntry
    edge_s: float
    cloud_s: float
    local_s: float
    up_bytes: int
    down_bytes: int
    cloud_factor: float = 1.0
    predicted: Prediction = _NOTHING
    of_late_s: float | None = None
    alone: bool = False
    cloud_queue_s: float = 0.0
    replica: SimulatedReplica | None = None
    tried: tuple[SimulatedReplica, ...] = ()
    attempt: int = 0
    suffix: int = 0
    ready_s: float = -math.inf
    sent_s: float = 0.0
    began_s: float = 0.0
    crossed_s: float = 0.0
    there_s: float = 0.0
    arrived_s: float = 0.0
    done_s: float = -math.inf
    answered_s: float = -math.inf
    there_in_vain_s: float = 0.0
    back_in_vain_s: float = 0.0
    late_s: float = 0.0
    patience_s: float = 0.0
    ends_s: float = math.inf
    gave_up_s: float = -math.inf
    up: Transfer | None = None
    down: Transfer | None = None
    way_up: int = -1
    patience: Event | None = None
    way: WayWatch | None = None
    asked_s: float = math.inf
    promised: bool = False
    insured: int | None = None
    ended: bool = False

    @classmethod
    def of(cls, number: int, arrival: Arrival, entry: PlanEntry, factors: RequestFactors) -> Crossing:
        """By that plan."""
        costs, file_bytes = entry.costs, arrival.file_bytes if entry.file_crosses else 0
        items = arrival.items
        return cls(
            number, arrival, entry,
            edge_s=costs.edge.at(items) * factors.edge,
            cloud_s=costs.cloud.at(items) * factors.cloud,
            local_s=costs.local_finish.at(items) * factors.finish,
            up_bytes=round(entry.uplink_bytes(items, 0) * factors.size) + file_bytes,
            down_bytes=entry.downlink_bytes(items),
            cloud_factor=factors.cloud,
        )  # fmt: skip

    @property
    def due_s(self) -> float:
        """See Arrival; infinite without a deadline."""
        due_s = self.arrival.due_s
        return math.inf if due_s is None else due_s

    @property
    def message(self) -> tuple[float, ...]:
        """What tells its sending from others', and from its own others: the same whatever else a fleet does."""
        return self.arrival.time_s, *self.arrival.noise, self.attempt

    @property
    def suffix_s(self) -> float:
        """What its suffix takes in the cloud, as the costs say."""
        return self.entry.costs.cloud.at(self.arrival.items)

    @property
    def finish_s(self) -> float:
        """What the edge is predicted to take to finish it."""
        return self.entry.costs.local_finish.at(self.arrival.items) if self.of_late_s is None else self.of_late_s

    def waits_for(self, attempt: int) -> bool:
        """Whether what comes of that sending is still wanted."""
        return not self.ended and attempt == self.attempt

    def came_to_nothing(self, now_s: float) -> None:
        """Of the sending under way, where its time went once its bytes had arrived. A live edge cannot tell this from
        the way up; whoever plans a fleet must, as replicas do not help an uplink."""
        done = self.done_s >= self.arrived_s
        self.there_in_vain_s += max(0.0, (self.done_s if done else now_s) - self.arrived_s)
        self.back_in_vain_s += now_s - self.done_s if done else 0.0

    @property
    def said_bytes(self) -> int:
        """What crosses to the cloud, as predicted."""
        return self.entry.uplink_bytes(self.arrival.items, self.arrival.file_bytes)

    def served(self, now_s: float, overhead_s: float, *, resumed: bool, dropped: bool) -> Served:
        """What became of it, now that it has ended. overhead_s: what it took besides."""
        took_s = now_s - self.arrival.time_s + overhead_s
        crossed = self.replica is not None and self.attempt > 0 and not (resumed or dropped)
        return Served(
            self.arrival,
            self.entry.plan.plan_id,
            took_s,
            resumed,
            dropped=dropped,
            kind=self.entry.plan.kind,
            replica=str(self.replica.number) if self.replica is not None and crossed else "",
            up_bytes=self.up_bytes * self.attempt,
            down_bytes=self.down_bytes if crossed else 0,
            stages=self._stages(now_s, took_s, gone_on=resumed or dropped),
            promised=self.promised,
        )

    def _stages(self, now_s: float, took_s: float, *, gone_on: bool) -> StageSeconds:
        """Disjoint; of an answered request they sum to `took_s`. gone_on: the cloud did not answer."""
        if self.ready_s < 0.0:  # dropped before its prefix was made
            return StageSeconds(edge_queue_s=took_s)
        after_s = now_s - self.ready_s
        before_s = took_s - after_s - self.edge_s
        there_s, back_s = self.there_in_vain_s, self.back_in_vain_s
        if gone_on and self.answered_s < self.sent_s:  # else its answer was there, and waited to be decoded
            finish_s = now_s - self.gave_up_s if self.gave_up_s >= 0.0 else 0.0
            up_s = after_s - there_s - back_s - finish_s
            return StageSeconds(before_s, self.edge_s, up_s, there_s, 0.0, back_s, finish_s)
        if not self.attempt:
            return StageSeconds(before_s, self.edge_s)
        up_s, down_s = self.arrived_s - self.ready_s - there_s - back_s, self.answered_s - self.done_s + back_s
        decoded_s = now_s - self.answered_s
        queue_s = max(0.0, after_s - up_s - down_s - decoded_s - self.cloud_s)
        return StageSeconds(before_s + decoded_s, self.edge_s, up_s, queue_s, self.cloud_s, down_s)
