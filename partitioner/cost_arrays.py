"""The costs of several plans as arrays, one row a plan: made once a table, so that a request costs a few operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from partitioner.plan_table import PlanEntry

__all__ = ["CostArrays"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CostArrays:
    """See PlanCosts. Times and bytes have two columns: fixed and per item. What a plan that never leaves the edge does
    not use of the link and the cloud is 0.

    file_crosses, crosses, edge_works: 1.0 for yes. edge_works: something is left to do on the edge, so that the plan
    waits there. edge_spread, cloud_spread, length_spread: shares (the last of an item's message).
    """

    index: Mapping[str, int]
    crossing: tuple[bool, ...]
    split: tuple[bool, ...]
    edge: Floats
    cloud: Floats
    uplink: Floats
    downlink: Floats
    file_crosses: Floats
    crosses: Floats
    edge_works: Floats
    edge_spread: Floats
    cloud_spread: Floats
    length_spread: Floats
    local_finish: Floats

    @classmethod
    def of(cls, entries: Sequence[PlanEntry]) -> CostArrays:
        """The arrays of these plans, in their order. index: the row of a plan by its id."""
        costs, plans = [entry.costs for entry in entries], [entry.plan for entry in entries]
        crossing = tuple(plan.kind != "edge-only" for plan in plans)
        crosses = _array(crossing)
        return cls(
            index={plan.plan_id: number for number, plan in enumerate(plans)},
            crossing=crossing,
            split=tuple(plan.kind == "split" for plan in plans),
            edge=_pairs((one.edge.fixed_s, one.edge.per_item_s) for one in costs),
            cloud=_pairs((one.cloud.fixed_s, one.cloud.per_item_s) for one in costs) * crosses[:, None],
            uplink=_pairs((one.uplink_bytes_fixed, one.uplink_bytes_per_item) for one in costs) * crosses[:, None],
            downlink=_pairs((one.downlink_bytes_fixed, one.downlink_bytes_per_item) for one in costs)
            * crosses[:, None],
            file_crosses=_array(entry.file_crosses for entry in entries) * crosses,
            crosses=crosses,
            edge_works=_array(entry.edge_works for entry in entries),
            edge_spread=_array(one.edge_spread for one in costs),
            cloud_spread=_array(one.cloud_spread for one in costs),
            length_spread=_array(plan.uplink_spread for plan in plans),
            local_finish=_pairs((one.local_finish.fixed_s, one.local_finish.per_item_s) for one in costs),
        )


def _array(values: Iterable[float]) -> Floats:
    return np.array([float(value) for value in values])


def _pairs(values: Iterable[tuple[float, float]]) -> Floats:
    return np.array(list(values), dtype=np.float64).reshape(-1, 2)
