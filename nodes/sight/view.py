"""An edge as it is shown: all facts of one moment, taken on its event loop, none of which change afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nodes.admission import AdmissionCounts
from nodes.drift import Drift, RemeasureState
from nodes.gateway import ModelState
from nodes.replica_state import ReplicaState
from nodes.resumption import ResumeCounts
from nodes.sight.base import Ended, LinkBelief
from nodes.sight.failures import Failure
from nodes.sight.history import Moment
from nodes.steering import ShadowReport, Steering

__all__ = ["WINDOW_S", "EdgeFacts", "EdgeView", "ModelCut", "cuts_of"]

WINDOW_S = 300.0
"""How far back "lately" reaches: alarms, the cut that is shown, the table of plans."""


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """What an edge is, as it was started. run: drawn anew at each start: moments of another run do not go on.

    emulated: what is not real, each as a sentence. registry: "" for none. limits: of waiting requests and of kept
    bytes.
    """

    edge_id: str
    run: str
    version: str
    engine: str
    device: str
    threads: int
    emulated: tuple[str, ...]
    registry: str
    waiting_limit: int
    kept_limit_bytes: int


@dataclass(frozen=True, slots=True)
class ModelCut:
    """The plan that most of a model's latest requests took: of how many of them, by how many."""

    plan_id: str
    name: str
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class EdgeView:
    """An edge at now_s (monotonic). paced: some plan on offer runs on the engine of that name. moments: those that were
    asked for; lately: those of WINDOW_S. requests: that ended lately and are kept, oldest first. answered, failed,
    mistaken: since the start; see RecentFailures. registry_heard: once; registry_away_s: for how long it has not been
    there, None while it is, and without one."""

    facts: EdgeFacts
    now_s: float
    started_s: float
    ready: bool
    steering: Steering
    shadow_report: ShadowReport
    models: tuple[ModelState, ...]
    paced: bool
    registry_heard: bool
    registry_away_s: float | None
    replicas: tuple[ReplicaState, ...]
    link: LinkBelief | None
    waiting: int
    admission: AdmissionCounts
    edge_queue_s: float
    kept_bytes: int
    answered: int
    failed: int
    mistaken: int
    resumes: ResumeCounts
    log_lost: int
    moments: tuple[Moment, ...]
    lately: tuple[Moment, ...]
    requests: tuple[Ended, ...]
    failures: tuple[Failure, ...]
    drifts: tuple[Drift, ...]
    remeasured: RemeasureState

    @property
    def latest(self) -> tuple[Ended, ...]:
        """The requests of the last WINDOW_S, as far as they are kept."""
        return tuple(one for one in self.requests if one.came_s > self.now_s - WINDOW_S)

    @property
    def usable(self) -> int:
        """Replicas that take requests."""
        return sum(one.standing in ("ready", "on trial") for one in self.replicas)

    @property
    def missed(self) -> bool:
        """Whether requests ended lately while no replica took any. A cloud that has scaled to zero has none, and nobody
        misses them."""
        return any(not one.replicas_usable and one.answered + one.failed for one in self.lately)

    @property
    def emulated(self) -> tuple[str, ...]:
        """Everything that is not real, each as a sentence."""
        links = dict.fromkeys(one.emulated_link for one in self.replicas if one.emulated_link)
        paced = ("cloud replicas sleep for the times of a profile (engine: paced)",) if self.paced else ()
        return (*self.facts.emulated, *paced, *(f"the link to the cloud is made {link}" for link in links))


def cuts_of(requests: Iterable[Ended]) -> dict[str, ModelCut]:
    """By model, what most of these requests took; the newest of equals."""
    counts: dict[str, dict[tuple[str, str], int]] = {}
    for one in requests:
        of_model = counts.setdefault(one.model, {})
        key = one.plan_id, one.plan_name
        of_model[key] = of_model.pop(key, 0) + 1  # put last
    cuts = {}
    for model, plans in counts.items():
        (plan_id, name), count = max(reversed(plans.items()), key=lambda item: item[1])
        cuts[model] = ModelCut(plan_id, name, count, sum(plans.values()))
    return cuts
