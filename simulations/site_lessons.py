"""What a simulated edge's answered requests teach its chooser of its plans, by the live edge's rules."""

from __future__ import annotations

from nodes.chooser import Chooser, StageTimes
from nodes.lesson_pace import LessonPace
from simulations.edge_facts import EdgeFacts
from simulations.site_request import Crossing

__all__ = ["SiteLessons"]


class SiteLessons:
    """Of one edge."""

    def __init__(self, chooser: Chooser, facts: EdgeFacts) -> None:
        self._chooser, self._facts, self._pace = chooser, facts, LessonPace()

    def learn(self, crossing: Crossing, now_s: float, *, alone: bool, resumed: bool) -> None:
        """From a request that is answered now. alone: no other was here when its turn came, nor is one now, so that its
        waits were nobody's work. resumed: the edge finished what the cloud did not: that says nothing of its plan."""
        entry = crossing.entry
        if not self._pace.due(entry.plan.plan_id, now_s):
            return
        edge_only = entry.plan.kind == "edge-only"
        if edge_only or (not resumed and crossing.attempt == 1):
            self._chooser.observe_stages(
                StageTimes(
                    entry=entry,
                    batch=crossing.arrival.items,
                    file_bytes=crossing.arrival.file_bytes,
                    edge_s=crossing.edge_s,
                    cloud_s=None if edge_only else crossing.cloud_s,
                    uplink_bytes=None if edge_only else crossing.up_bytes,
                    besides_s=self._besides_s(crossing, now_s) if alone else None,
                )
            )

    def _besides_s(self, crossing: Crossing, now_s: float) -> float:
        """What it took besides its stages, less what was predicted of that. Choosing takes no simulated time."""
        entry, facts = crossing.entry, self._facts
        before_s = crossing.ready_s - crossing.arrival.time_s - crossing.edge_s
        edge_queue_s = before_s + facts.besides_s(entry) - facts.overhead_s
        if entry.plan.kind == "edge-only":
            return edge_queue_s
        decoded_s = now_s - crossing.answered_s
        at_replica_s = crossing.done_s - crossing.arrived_s - crossing.cloud_s
        return edge_queue_s + decoded_s + at_replica_s - crossing.cloud_queue_s
