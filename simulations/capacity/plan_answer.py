"""What a capacity search found, as values that go into tables and JSON."""

from __future__ import annotations

from dataclasses import dataclass

from simulations.answers.fleet import CostAnswer, UtilisationAnswer
from simulations.answers.groups import GroupKind
from simulations.answers.interval import Estimate
from simulations.answers.slo import Slo
from simulations.capacity.queueing import QueueTheory
from simulations.capacity.verdict import Blame, Side

__all__ = ["CapacityAnswer", "Considered", "Found", "Headroom", "QueueCheck", "Sensitivity", "Tried", "WorstGroup"]


@dataclass(frozen=True, slots=True)
class Tried:
    """One fleet that was simulated. side: of what was promised, on which the share of requests in time lies. whole: in
    whole runs with seeds that the search had not used, to confirm what it found."""

    choice: str
    replicas: int
    side: Side
    share: Estimate
    blame: Blame
    requests: int
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Considered:
    """A kind of fleet. replicas: the fewest that keep the promise; None where none does of those that were looked at:
    all that may be, or, `cheaper_only`, such as would be cheaper than what was found, which may be none at all.
    per_hour: by which kinds are compared: of the machines, and of the traffic that the kind has with plenty of
    replicas; None without prices."""

    choice: str
    replicas: int | None
    per_hour: float | None
    cheaper_only: bool = False


@dataclass(frozen=True, slots=True)
class QueueCheck:
    """simulated: the mean wait for a replica. batched: whether replicas batch, which no formula here knows. poisson:
    whether all requests come independently, which every formula here takes for granted. plausible: whether the wait
    lies where theory has it; None where theory does not fit, as they do not, or as batches bear more than replicas
    could bear one by one."""

    theory: QueueTheory
    simulated: Estimate
    batched: bool
    plausible: bool | None
    poisson: bool = True


@dataclass(frozen=True, slots=True)
class Headroom:
    """With the fleet that was found, so many edges in all keep the promise, and so many do not: `side` "below", by
    `blame`, or "open", where that is too near to tell. `breaks` is None where four times as many still keep it (side
    "above"). now: edges of the scenario. An edge has its clients, however many the scenario gives it. whole: each
    number was judged by whole runs; else by how they begin, which nothing has confirmed. limit: why no more than
    `keeps` edges were looked at, where that is less than four times as many; "" else."""

    now: int
    keeps: int
    breaks: int | None
    side: Side
    blame: Blame
    whole: bool = False
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The fleet that was found in another world. replicas: the fewest that keep the promise there; None where none of
    those that there may be do. whole: as of Headroom."""

    change: str
    side: Side
    share: Estimate
    blame: Blame
    replicas: int | None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class WorstGroup:
    """Of clients, request classes and models the one with the smallest share of requests in time. n: its requests."""

    kind: GroupKind
    name: str
    n: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class Found:
    """The cheapest fleet that keeps the promise. per_hour: of its machines; None without prices. verdict: of the
    search. confirmed: of whole runs, of whose first one worst, utilisation, cost (with traffic) and queue tell. less:
    with one replica less; None where there may not be fewer. worst: None where all requests are of one group.
    left_out: other worlds that no scenario may be, each with why."""

    choice: str
    replicas: int
    per_hour: float | None
    verdict: Tried
    confirmed: Tried
    less: Tried | None
    worst: WorstGroup | None
    utilisation: tuple[UtilisationAnswer, ...]
    cost: CostAnswer | None
    queue: QueueCheck | None
    headroom: Headroom
    sensitivities: tuple[Sensitivity, ...]
    left_out: tuple[str, ...] = ()

    @property
    def binding(self) -> Blame:
        """What limits it: what breaks the promise with one replica less, or, where there is none to spare or that is
        too near to tell, with more edges. A blame without a stage where nothing was seen to."""
        return self.less.blame if self.less is not None and self.less.side == "below" else self.headroom.blame


@dataclass(frozen=True, slots=True)
class CapacityAnswer:
    """found: None where no fleet that may be keeps the promise. tried: all that was simulated in the search, then whole
    runs of what it found. requests: simulated in all."""

    scenario: str
    slo: Slo
    confidence: float
    currency: str
    prices_source: str
    found: Found | None
    considered: tuple[Considered, ...]
    tried: tuple[Tried, ...]
    assumptions: tuple[str, ...]
    requests: int

    def may_keep(self, one: Tried) -> bool:
        """Whether more requests of that fleet could show that it keeps the promise."""
        return one.side == "open" and one.share.value > self.slo.share
