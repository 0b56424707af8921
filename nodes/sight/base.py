"""What sight needs of whoever decides on an edge: the requests that ended lately, and the link as believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nodes.chooser import Outcome
from partitioner.plan import Prediction

__all__ = ["Ended", "EndedRequests", "LinkBelief", "Remembering"]


@dataclass(frozen=True, slots=True)
class Ended:
    """One request that ended: what was decided for it, and what became of it.

    came_s: on the node's monotonic clock. policy: who decided. explored: another plan than the policy's was taken, to
    learn the link. plan_name: for people. form: of the inputs, "tensor" or "bytes". predicted: of the plan that was
    taken. waited_s: for its turn, before anything was predicted.
    """

    came_s: float
    model: str
    request_class: str
    policy: str
    explored: bool
    plan_id: str
    plan_name: str
    plan_kind: str
    form: str
    predicted: Prediction
    outcome: Outcome
    waited_s: float = 0.0

    @property
    def measured_s(self) -> float:
        """What it took, 0 where it failed."""
        out = self.outcome
        return out.edge_queue_s + out.edge_s + out.uplink_s + out.cloud_queue_s + out.cloud_s + out.downlink_s

    @property
    def failed(self) -> bool:
        """Whether it ended without an answer."""
        return bool(self.outcome.failure)

    @property
    def error(self) -> float | None:
        """Predicted less measured over measured, from its turn on: below 0 it took longer. None of a request that
        failed, or that went on elsewhere than planned: it was not predicted to."""
        measured_s = self.measured_s - self.waited_s
        as_planned = (self.plan_kind == "edge-only") == (self.outcome.finished_by == "edge")
        if self.failed or measured_s <= 0 or not as_planned:
            return None
        return (self.predicted.total_s - measured_s) / measured_s


@dataclass(frozen=True, slots=True)
class EndedRequests:
    """count: of all requests that ended since the edge started. requests: the newest of those asked for, oldest
    first."""

    count: int
    requests: tuple[Ended, ...]


@dataclass(frozen=True, slots=True)
class LinkBelief:
    """The link as believed. The spreads are one standard deviation, as a share of the rate."""

    uplink_bps: float
    downlink_bps: float
    rtt_s: float
    uplink_spread: float
    downlink_spread: float


class Remembering(Protocol):
    """Who decided lately. Called on the node's event loop."""

    def ended(self, since: int, most: int) -> EndedRequests:
        """The newest `most` of the requests that ended after the first `since` did, as far as they are remembered."""
        ...

    def link_belief(self) -> LinkBelief | None:
        """The link as now believed, None before anything was measured."""
        ...
