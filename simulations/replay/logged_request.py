"""A request of a decision log: what came, what was decided, what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from nodes.chooser import Asked, Outcome
from nodes.steering import PolicySetting
from partitioner.plan_table import PlanEntry, PlanTable

__all__ = ["LoggedRequest", "Placed"]


@dataclass(frozen=True, slots=True)
class Placed:
    """Its decision. policy: that decided. because: for whom it decides, in the log's words. entry: the plan that was
    acted on. table: that it was one of. cloud_reachable: whether a replica was."""

    policy: PolicySetting
    because: str
    seed: int
    entry: PlanEntry
    table: PlanTable
    cloud_reachable: bool


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """asked: its came_s is since the log's first moment. placed: None for one that was refused before, `failure` then
    says why. outcome: None for a refused one, and where the log ended before it did."""

    asked: Asked
    placed: Placed | None
    outcome: Outcome | None
    failure: str = ""

    @property
    def ended(self) -> bool:
        """Whether the log says what became of it."""
        return self.placed is None or self.outcome is not None

    @property
    def answered(self) -> bool:
        """Whether there was an answer."""
        return self.outcome is not None and bool(self.outcome.finished_by)

    @property
    def took_s(self) -> float:
        """From when it came to its answer; 0 for one that had none."""
        one = self.outcome
        if one is None:
            return 0.0
        return one.edge_queue_s + one.edge_s + one.uplink_s + one.cloud_queue_s + one.cloud_s + one.downlink_s

    @property
    def ended_s(self) -> float:
        """When it was answered."""
        return self.asked.came_s + self.took_s

    @property
    def crossed(self) -> bool:
        """Whether one replica answered what was sent to it once: only then the stages tell of the link and the
        cloud."""
        one = self.outcome
        return one is not None and one.finished_by == "cloud" and one.sendings == 1

    @property
    def resumed(self) -> bool:
        """Whether the edge finished what was to cross."""
        if self.outcome is None or self.placed is None:
            return False
        return self.outcome.finished_by == "edge" and self.placed.entry.plan.kind != "edge-only"

    @property
    def sent_s(self) -> float:
        """When what crosses began to."""
        assert self.outcome is not None
        return self.asked.came_s + self.outcome.edge_queue_s + self.outcome.edge_s

    @property
    def late(self) -> bool | None:
        """Whether it had no answer by its deadline, its client's or that of who decided; None without one."""
        timeout_s = self.asked.timeout_s
        return None if timeout_s is None else not (self.answered and self.took_s <= timeout_s)
