"""The cuts worth measuring: those that are optimal somewhere on a grid of links and cloud loads."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from isthmus.errors import InvalidInput
from partitioner.cost_model import ModelFacts
from partitioner.link import Link
from partitioner.partition import Setting, partition_graph

__all__ = ["CandidateCut", "LinkGrid", "candidate_cuts"]


@dataclass(frozen=True, slots=True)
class LinkGrid:
    """The conditions to cover: every combination. Symmetric links; cloud_loads are factors on the cloud's times."""

    bandwidths_bps: tuple[float, ...] = tuple(0.5e6 * 2000.0 ** (step / 10) for step in range(11))
    rtts_s: tuple[float, ...] = (0.001, 0.02, 0.2)
    cloud_loads: tuple[float, ...] = (1.0, 4.0)

    def settings(self, setting: Setting) -> Iterator[Setting]:
        """`setting` under each of the conditions."""
        for bps, rtt_s, load in itertools.product(self.bandwidths_bps, self.rtts_s, self.cloud_loads):
            costing = replace(setting.costing, cloud_load=load)
            yield replace(setting, link=Link(bps, bps, rtt_s), costing=costing)


@dataclass(frozen=True, slots=True)
class CandidateCut:
    """edge_ops in topological order, and in how many of the grid's conditions this cut was the best."""

    edge_ops: tuple[str, ...]
    coverage: int


def candidate_cuts(
    model: ModelFacts, setting: Setting, grid: LinkGrid = LinkGrid(), limit: int = 8
) -> tuple[CandidateCut, ...]:
    """The distinct optimal cuts over `grid`, edge-only first, cloud-only second, then by coverage; `limit` in all.

    Those two are always there (coverage 0 where they never win), save where privacy forbids cloud-only or the model
    requires the cloud. `setting.link` and its cloud load are replaced by the grid's. One solve a condition.
    """
    if limit < 2:
        raise InvalidInput("limit", "must be 2 or more: edge-only and cloud-only are always offered", value=limit)
    wins = Counter(partition_graph(model, condition).edge_ops for condition in grid.settings(setting))
    fixed: list[tuple[str, ...]] = []
    if model.interface.autonomy == "full":
        fixed.append(tuple(op.name for op in model.graph.ops))
    if not setting.costing.private_input:
        fixed.append(())
    others = sorted((cut for cut in wins if cut not in fixed), key=lambda cut: (-wins[cut], len(cut), cut))
    return tuple(CandidateCut(cut, wins[cut]) for cut in (*fixed, *others)[:limit])
