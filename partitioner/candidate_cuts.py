"""The cuts between two devices that are worth timing whole: those of the exact frontier."""

from __future__ import annotations

from partitioner.cost_model import Costing, ModelFacts
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.menu import MOST_CUTS, menu_of
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

__all__ = ["candidate_cuts"]

_EVEN_LINK = Link(8.0, 8.0, 0.0)  # of a frontier's link only the ratio counts


def candidate_cuts(
    model: ModelFacts, one: DeviceProfile, other: DeviceProfile, costing: Costing
) -> tuple[tuple[str, ...], ...]:
    """The edge ops of every cut with two halves on the frontier between the two devices, whichever is the edge; those
    that a fleet would be offered come first.

    Loads are free on the frontier: where one device is slower by the same factor in every op, both ways round have the
    same cuts, and otherwise nearly the same. So nobody need say which of the two the edge is. Raises InfeasibleCut when
    `costing` forbids every cut.
    """
    ways = [Setting(*pair, _EVEN_LINK, costing) for pair in ((one, other), (other, one))]
    frontiers = [frontier_of(model, way) for way in ways]
    offered = [cut.edge_ops for found in frontiers for cut in menu_of(found, most_cuts=MOST_CUTS).cuts]
    every = [entry.plan.edge_ops for found in frontiers for entry in found.plans]
    count = len(model.graph.ops)
    return tuple(cut for cut in dict.fromkeys((*offered, *every)) if 0 < len(cut) < count)
