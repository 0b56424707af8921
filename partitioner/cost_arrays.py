"""The costs of several plans as arrays, one row a plan: made once a table, so that a request costs a few operations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from partitioner.plan_table import Curve, PlanEntry

__all__ = ["AMOUNTS", "BatchCosts", "CostArrays"]

AMOUNTS = 9
"""Columns of `BatchCosts.amounts`."""

Floats = NDArray[np.float64]
# More sizes of requests than this are worked out anew.
_MOST_KEPT = 32


@dataclass(frozen=True, slots=True, eq=False)
class BatchCosts:
    """What the plans use for one batch, by their costs.

    amounts: columns edge seconds, uplink bytes, downlink bytes, cloud seconds, 1 where it crosses, 1 where the edge has
    something to do, the share of the request's files that crosses, 1 for seconds besides (which costs do not say: what
    is learned of them is a factor of it), 1. variances: of the squares of these, what counts in the variance of its
    time. local_finish_s: of the suffix on the edge. saved_s: of the edge seconds, where the prefix runs with others' as
    one, in the batch that saves the most, as measured. length_variances: of the message, as a share squared. spreads:
    of edge, cloud and message, for whoever looks at one plan.
    """

    amounts: Floats
    variances: Floats
    local_finish_s: Floats
    saved_s: Floats
    length_variances: Floats
    spreads: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class CostArrays:
    """See PlanCosts. Times and bytes have two columns: fixed and per item. What a plan that never leaves the edge does
    not use of the link and the cloud is 0.

    file_crosses, crosses, edge_works: 1.0 for yes. edge_works: something is left to do on the edge, so that the plan
    waits there. edge_spread, cloud_spread, length_spread: shares (the last of an item's message).
    saved: see BatchCosts; seconds an item.
    of_kind: the rows of each kind of cut that there is.
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
    saved: Floats
    of_kind: Mapping[str, tuple[int, ...]]
    _by_batch: dict[int, BatchCosts] = field(default_factory=dict)

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
            saved=_array(_saved_s(one.prefix_s) for one in costs),
            of_kind=_by_kind([plan.kind for plan in plans]),
        )

    def for_batch(self, batch: int) -> BatchCosts:
        """What the plans use for `batch` items; worked out once for each size."""
        known = self._by_batch.get(batch)
        if known is None:
            if len(self._by_batch) >= _MOST_KEPT:
                self._by_batch.clear()
            known = self._by_batch[batch] = self._for_batch(batch)
        return known

    def _for_batch(self, batch: int) -> BatchCosts:
        size, ones = np.array((1.0, batch)), np.ones(len(self.index))
        columns = (
            self.edge @ size,
            np.rint(self.uplink @ size),
            np.rint(self.downlink @ size),
            self.cloud @ size,
            self.crosses,
            self.edge_works,
            self.file_crosses,
            ones,
            ones,
        )
        length_spread = self.length_spread / math.sqrt(batch)  # items of a batch make up for each other
        none = np.zeros(len(self.index))
        variances = (self.edge_spread**2, none, ones, self.cloud_spread**2, ones, ones, none, none, none)
        spreads = np.column_stack((self.edge_spread, self.cloud_spread, length_spread)).tolist()
        return BatchCosts(
            np.column_stack(columns),
            np.column_stack(variances),
            self.local_finish @ size,
            self.saved * batch,
            length_spread**2,
            tuple((edge, cloud, length) for edge, cloud, length in spreads),
        )


def _saved_s(curve: Curve) -> float:
    """Seconds an item, of the batch that saves the most."""
    return curve[0][1] / curve[0][0] - min(took_s / items for items, took_s in curve) if curve else 0.0


def _array(values: Iterable[float]) -> Floats:
    return np.array([float(value) for value in values])


def _pairs(values: Iterable[tuple[float, float]]) -> Floats:
    return np.array(list(values), dtype=np.float64).reshape(-1, 2)


def _by_kind(kinds: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    return {kind: tuple(number for number, one in enumerate(kinds) if one == kind) for kind in dict.fromkeys(kinds)}
