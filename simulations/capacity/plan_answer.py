"""What a capacity search found, as values that go into tables and JSON."""

from __future__ import annotations

from dataclasses import dataclass

from simulations.answers.fleet import CostAnswer, UtilisationAnswer
from simulations.answers.interval import Estimate
from simulations.answers.slo import Slo
from simulations.capacity.queueing import QueueTheory
from simulations.capacity.verdict import Blame, Side

__all__ = ["CapacityAnswer", "Considered", "Found", "Headroom", "QueueCheck", "Sensitivity", "Tried"]


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
    """A kind of fleet. replicas: the fewest that keep the promise; None where none do, or none that would be cheaper
    than what was found. per_hour: by which kinds are compared: of the machines, and of the
    traffic that the kind has with plenty of replicas; None without prices."""

    choice: str
    replicas: int | None
    per_hour: float | None


@dataclass(frozen=True, slots=True)
class QueueCheck:
    """simulated: the mean wait for a replica. batched: whether replicas batch, which no formula here knows. plausible:
    whether the wait lies where theory has it; None where theory does not fit, as batches bear more than replicas could
    bear one by one."""

    theory: QueueTheory
    simulated: Estimate
    batched: bool
    plausible: bool | None


@dataclass(frozen=True, slots=True)
class Headroom:
    """With the fleet that was found, so many edges in all keep the promise, and so many do not: `side` "below", by
    `blame`, or "open", where that is too near to tell. `breaks` is None where four times as many still keep it (side
    "above"). now: edges of the scenario. An edge has its clients, however many the scenario gives it."""

    now: int
    keeps: int
    breaks: int | None
    side: Side
    blame: Blame


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The fleet that was found in another world. replicas: the fewest that keep the promise there; None where none of
    those that there may be do."""

    change: str
    side: Side
    share: Estimate
    blame: Blame
    replicas: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """The cheapest fleet that keeps the promise. per_hour: of its machines; None without prices. verdict: of the
    search. confirmed: of whole runs, of whose first one utilisation, cost (with traffic) and queue tell. less: with one
    replica less; None where there may not be fewer."""

    choice: str
    replicas: int
    per_hour: float | None
    verdict: Tried
    confirmed: Tried
    less: Tried | None
    utilisation: tuple[UtilisationAnswer, ...]
    cost: CostAnswer | None
    queue: QueueCheck | None
    headroom: Headroom
    sensitivities: tuple[Sensitivity, ...]

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
