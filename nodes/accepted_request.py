"""One request that an edge has accepted: what was asked and chosen, the times that it has to keep, and its edge."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from isthmus.errors import DeadlineExceeded
from nodes.admission_gate import Admitted
from nodes.byte_budget import ByteBudget
from nodes.chooser import Choice, Chooser
from nodes.gateway import InferRequest
from nodes.hedging import Hedging
from nodes.model_runtime import ReadyPlan
from nodes.prefix_queue import PrefixQueue
from nodes.queues import WayUp
from nodes.replica_set import ReplicaSet
from nodes.resume_schedule import ResumeSchedule
from nodes.resumption import FINISH_MARGIN, ResumeCounts, due_after_s, expected_s, waits_until_s

__all__ = ["AcceptedRequest", "Surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all requests of an edge share. kept: bounds the boundary tensors that wait for answers,
    and inputs that wait for a replica."""

    queue: PrefixQueue
    replicas: ReplicaSet
    chooser: Chooser
    schedule: ResumeSchedule
    kept: ByteBudget
    counts: ResumeCounts
    wire_ids: Iterator[int]
    way_up: WayUp
    hedging: Hedging = field(default_factory=Hedging)


class AcceptedRequest(NamedTuple):
    """Moments are readings of the monotonic clock. cloud_required: the edge must not finish it, whatever happens.
    admitted: None where nobody let it in, so that nothing is promised."""

    request: InferRequest
    choice: Choice
    ready: ReadyPlan
    around: Surroundings
    cloud_required: bool
    started_s: float
    admitted: Admitted | None = None

    @property
    def deadline_s(self) -> float | None:
        """None without one."""
        return None if self.request.timeout_s is None else self.started_s + self.request.timeout_s

    @property
    def stays(self) -> bool:
        """Whether it ends with its deadline and never with anybody's patience: it has one, and nobody but the cloud may
        finish it. Without a deadline patience is what ends it."""
        return self.cloud_required and self.request.timeout_s is not None

    @property
    def due_s(self) -> float:
        """When the edge shall have finished, if it must."""
        timeout_s = self.request.timeout_s
        return math.inf if timeout_s is None else self.started_s + due_after_s(timeout_s)

    @property
    def finish_s(self) -> float:
        """What the edge needs to compute the suffix."""
        return self.choice.finishes_in_s(self.request.inputs.batch)

    @property
    def uplink_bytes(self) -> int:
        """What crosses to the cloud, as predicted."""
        return self.choice.entry.uplink_bytes(self.request.inputs.batch, self.request.inputs.file_bytes)

    @property
    def downlink_bytes(self) -> int:
        """What comes back, as predicted."""
        return self.choice.entry.downlink_bytes(self.request.inputs.batch)

    def expected_s(self, cloud_s: float, now_s: float) -> float:
        """In how long its answer is expected, sent now to a replica whose wait and work take so long."""
        link, crossing_s = self.around.chooser.link(), self.around.way_up.crossing_s(now_s)
        return expected_s(self.choice.predicted, link, crossing_s, self.uplink_bytes, self.downlink_bytes, cloud_s)

    def finishes_by_s(self) -> float | None:
        """The edge finishes it: the due time that its order goes by, None without a deadline. Infinite where it would
        break what others were promised."""
        due_s = None if self.deadline_s is None else self.due_s
        if self.admitted is None or self.admitted.finishes(due_s, self.finish_s):
            return due_s
        return math.inf

    def check_time(self) -> None:
        """Raises DeadlineExceeded where its deadline has passed."""
        if self.deadline_s is not None and time.monotonic() >= self.deadline_s:
            raise DeadlineExceeded("the deadline passed before an answer was there")

    def edge_must_begin(self) -> bool:
        """Whether waiting for anybody would leave too little time to finish here."""
        if self.deadline_s is None or self.cloud_required:
            return False
        now_s = time.monotonic()
        return now_s >= waits_until_s(now_s, self.deadline_s, self.due_s, self.finish_s, FINISH_MARGIN)
