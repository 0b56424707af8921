"""Stages of plans that take another time than was measured, for so long that it is no chance: what an alarm says, and
who raises it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["NEVER_REMEASURED", "STAGES", "Drift", "DriftStage", "Drifting", "RemeasureState"]

DriftStage = Literal["edge", "cloud"]
STAGES: tuple[DriftStage, ...] = ("edge", "cloud")


@dataclass(frozen=True, slots=True)
class Drift:
    """An alarm that stands. factor: what the stage takes over what was measured of it, lately. since_s: since when it
    is so far off, on the node's monotonic clock."""

    model: str
    plan_id: str
    plan_name: str
    stage: DriftStage
    factor: float
    since_s: float


@dataclass(frozen=True, slots=True)
class RemeasureState:
    """How the edge does with measuring its plans again. standing: "measuring" also while it waits for a quiet moment.
    count: how often it was done since the start. ended_s: when last, on the monotonic clock, None for never."""

    standing: Literal["", "measuring"] = ""
    count: int = 0
    ended_s: float | None = None


NEVER_REMEASURED = RemeasureState()


class Drifting(Protocol):
    """Who compares what requests take with what was measured. Called on the node's event loop."""

    def drifts(self, now_s: float) -> tuple[Drift, ...]:
        """The alarms that stand, by plan and stage."""
        ...

    def edge_measured_again(self, plan_ids: Collection[str]) -> None:
        """The edge's stages of these plans have fresh costs: what was learned of how far the old ones were off is
        forgotten."""
        ...
