"""A fleet with plenty of replicas, for a short while: what work it is offered, and what crosses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulations.answers.prices import Prices, traffic
from simulations.capacity.candidate import HOUR_S
from simulations.fleet import Fleet

__all__ = ["Pilot", "pilot"]


@dataclass(frozen=True, slots=True)
class Pilot:
    """replicas: how many it may need. traffic: what an hour of it costs, 0 without prices. notes: what a reader must
    know of its times. requests: that it took."""

    replicas: int
    traffic: float
    notes: tuple[str, ...]
    requests: int


def pilot(fleet: Fleet, length_s: float, prices: Prices | None) -> Pilot:
    """fleet: with plenty of replicas. length_s: of what counts, after the warm-up.

    It may need replicas for the work that is offered, with as many to spare as its root (square-root staffing: Halfin
    and Whitt, Operations Research 29, 1981). Plenty of replicas batch nothing, and few that are busy do: so the work is
    counted at the pace of the best batch. Fewer replicas have less traffic than plenty, as more stays on the edges,
    so that a fleet's price still rises with its replicas.
    """
    run, warm_up_s = fleet.begin(), fleet.scenario.warm_up
    run.advance(warm_up_s)
    before_s = run.offered_s()
    run.advance(warm_up_s + length_s)
    seen, offered = run.finish(), (run.offered_s() - before_s) / length_s
    return Pilot(
        replicas=max(1, math.ceil(offered + math.sqrt(offered))),
        traffic=0.0 if prices is None else sum(traffic(seen, prices).values()) / length_s * HOUR_S,
        notes=seen.facts.notes,
        requests=len(seen.requests),
    )
