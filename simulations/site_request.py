"""A request at a simulated site: as it comes, on its way, and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nodes.chooser import Transfer
from nodes.resumption import due_after_s
from partitioner.plan_table import PlanEntry
from simulations.kernel import Event

__all__ = ["Arrival", "Crossing", "Served"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes at `time_s`. client, priority: see `nodes.admission.Arriving`. noise: three standard normal
    draws that make its edge time, its bytes and its cloud time differ from the costs: the same request is the same
    under every chooser."""

    time_s: float
    file_bytes: int
    timeout_s: float | None = None
    noise: tuple[float, float, float] = (0.0, 0.0, 0.0)
    client: str = ""
    priority: int = 0

    @property
    def deadline_s(self) -> float | None:
        """None without one."""
        return None if self.timeout_s is None else self.time_s + self.timeout_s

    @property
    def due_s(self) -> float | None:
        """When the edge shall have finished, if it must; None without a deadline."""
        return None if self.timeout_s is None else self.time_s + due_after_s(self.timeout_s)


@dataclass(frozen=True, slots=True)
class Served:
    """What became of a request. plan_id "" where none was chosen: it was refused and took no time. resumed: the edge
    finished what the cloud did not answer. refused: "deadline", "shed" or another reason, "" for one that was let in.
    dropped: it was let in, and its deadline passed before its turn at the edge's compute."""

    arrival: Arrival
    plan_id: str
    took_s: float
    resumed: bool = False
    refused: str = ""
    dropped: bool = False

    @property
    def in_time(self) -> bool:
        """Whether it was answered, and by its deadline where it had one."""
        answered = not (self.refused or self.dropped)
        return answered and (self.arrival.timeout_s is None or self.took_s <= self.arrival.timeout_s)


@dataclass(slots=True)
class Crossing:
    """A request whose plan is chosen, on its way. number: that of its admission. promised: the edge has the time to
    finish it, whatever the cloud does."""

    number: int
    arrival: Arrival
    entry: PlanEntry
    edge_s: float
    cloud_s: float
    local_s: float
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
    promised: bool = False
    insured: int | None = None
    follows: int | None = None
    ended: bool = False

    @classmethod
    def of(cls, number: int, arrival: Arrival, entry: PlanEntry, spread: float) -> Crossing:
        """By that plan. spread: see SiteFacts."""
        edge_noise, size_noise, cloud_noise = (_factor(spread, one) for one in arrival.noise)
        costs, file_bytes = entry.costs, arrival.file_bytes if entry.file_crosses else 0
        return cls(
            number, arrival, entry,
            edge_s=costs.edge.at(1) * edge_noise,
            cloud_s=costs.cloud.at(1) * cloud_noise,
            local_s=costs.local_finish.at(1) * cloud_noise,
            up_bytes=round((entry.uplink_bytes(1, arrival.file_bytes) - file_bytes) * size_noise) + file_bytes,
            down_bytes=entry.downlink_bytes(1),
        )  # fmt: skip

    @property
    def due_s(self) -> float:
        """See Arrival; infinite without a deadline."""
        due_s = self.arrival.due_s
        return math.inf if due_s is None else due_s

    @property
    def deadline_s(self) -> float:
        """Infinite without one."""
        deadline_s = self.arrival.deadline_s
        return math.inf if deadline_s is None else deadline_s


def _factor(spread: float, draw: float) -> float:
    """A log-normal factor whose mean is 1: the costs stay what they are, in the mean."""
    return math.exp(spread * draw - spread * spread / 2)
