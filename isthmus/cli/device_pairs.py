"""Several profiles of a side, of engines or devices: each edge is tried with each cloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isthmus.errors import InfeasibleCut

if TYPE_CHECKING:
    from isthmus.planning import Planner
    from partitioner.partition import BestPlan
    from partitioner.setting import Setting

__all__ = ["PairedPlan", "best_pairs", "sides_words", "unlike_measures"]


@dataclass(frozen=True, slots=True)
class PairedPlan:
    """The best plan of one edge with one cloud, and who planned it."""

    planner: Planner
    best: BestPlan


def best_pairs(planners: Sequence[Planner], objective: str) -> list[PairedPlan]:
    """The best plan of each pair that has one, the best of all first, of equals the one given first.

    Raises the InfeasibleCut of the first pair where none has one.
    """
    found, refusals = list[PairedPlan](), list[InfeasibleCut]()
    for planner in planners:
        try:
            found.append(PairedPlan(planner, planner.best(objective)))
        except InfeasibleCut as error:
            refusals.append(error)
    if not found:
        raise refusals[0]
    return sorted(found, key=lambda pair: pair.best.value)


def unlike_measures(pairs: Sequence[PairedPlan]) -> Iterator[str]:
    """A warning where the plans of some pairs go by measured halves and those of others by sums, which are less."""
    from partitioner.measured_halves import has_measured_halves

    measured = [has_measured_halves(pair.planner.model, pair.best.setting) for pair in pairs]
    if any(measured) and not all(measured):
        yield "some of these pairs go by halves measured whole, others by sums of op times: measure all with --against"


def sides_words(setting: Setting) -> str:
    """What runs where."""
    edge, cloud = setting.edge, setting.cloud
    return f"edge {edge.name} ({edge.ran_on}), cloud {cloud.name} ({cloud.ran_on})"
