"""What each plan uses for one size of request, by its costs and by how far its requests lately were from them.

One row a plan, one column an amount; whatever a plan is judged by is then a product with the prices of the amounts.
Worked out once for each size of request after something was learned, and kept with what was learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partitioner.plan import InputForm
from partitioner.plan_table import NO_CORRECTION, Correction, PlanEntry, PlanTable

__all__ = ["PRICED_AMOUNTS", "Amounts", "Corrections"]

PRICED_AMOUNTS = 9
"""Columns of `Amounts.matrix`."""

Floats = NDArray[np.float64]
# More sizes of requests than this in one epoch of what was learned are worked out anew.
_MOST_KEPT = 32


@dataclass(frozen=True, slots=True, eq=False)
class Amounts:
    """The plans of one form for one batch.

    matrix: columns edge seconds, uplink bytes, downlink bytes, cloud seconds, 1 where it crosses, 1 where the edge has
    something to do, the share of the request's files that crosses (corrected), seconds besides, 1. rows: the same as
    lists. own_spread_s: of both sides' times. length_spread: of the message, as a share. variances: what the variance
    of a plan's time is made of: both sides' own in square seconds; squares of the uplink bytes, of these times their
    spread, and of the downlink bytes; 1 where it crosses, 1 where the edge has something to do. alone_s: what the edge
    takes for all of the model by that plan, where the cloud does not answer.
    """

    table: PlanTable
    entries: tuple[PlanEntry, ...]
    index: Mapping[str, int]
    numbers: Sequence[int]
    crossing: tuple[bool, ...]
    split: tuple[bool, ...]
    matrix: Floats
    rows: list[list[float]]
    cloud_s: list[float]
    own_spread_s: list[float]
    length_spread: Floats
    length_spreads: list[float]
    variances: Floats
    alone_s: list[float]


class Corrections(Mapping[str, Correction]):
    """Corrections by plan id, and the amounts that follow from them. What it holds never changes."""

    def __init__(self, by_plan: Mapping[str, Correction]) -> None:
        """by_plan: must not change any more; a plan that is not in it is as its costs say."""
        self._by_plan = by_plan
        self._amounts: dict[tuple[InputForm, int], Amounts] = {}

    def __getitem__(self, plan_id: str) -> Correction:
        return self._by_plan[plan_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_plan)

    def __len__(self) -> int:
        return len(self._by_plan)

    def amounts(self, table: PlanTable, form: InputForm, batch: int) -> Amounts:
        """What the table's plans of that form use for `batch` items."""
        known = self._amounts.get((form, batch))
        if known is not None and known.table is table:
            return known
        if len(self._amounts) >= _MOST_KEPT:
            self._amounts.clear()
        made = self._amounts[form, batch] = _amounts(table, form, batch, self._by_plan)
        return made


def _amounts(table: PlanTable, form: InputForm, batch: int, by_plan: Mapping[str, Correction]) -> Amounts:
    costs, entries = table.cost_arrays(form), table.for_form(form)
    factors: Any = np.array(
        [
            (one.edge, one.cloud, one.uplink_bytes, one.overhead_s)
            for one in (by_plan.get(plan_id, NO_CORRECTION) for plan_id in costs.index)
        ]
    ).reshape(-1, 4)
    size = np.array((1.0, batch))
    edge_s, cloud_s = costs.edge @ size * factors[:, 0], costs.cloud @ size * factors[:, 1]
    matrix = np.column_stack(
        (
            edge_s,
            np.rint(costs.uplink @ size) * factors[:, 2],
            np.rint(costs.downlink @ size),
            cloud_s,
            costs.crosses,
            costs.edge_works,
            costs.file_crosses * factors[:, 2],
            factors[:, 3],
            np.ones(len(entries)),
        )
    )
    own_variance = (edge_s * costs.edge_spread) ** 2 + (cloud_s * costs.cloud_spread) ** 2
    length_spread = costs.length_spread / math.sqrt(batch)  # items of a batch make up for each other
    up, down = matrix[:, 1] ** 2, matrix[:, 2] ** 2
    variances = np.column_stack((own_variance, up, up * length_spread**2, down, costs.crosses, costs.edge_works))
    return Amounts(
        table, entries, costs.index, range(len(entries)), costs.crossing, costs.split, matrix, matrix.tolist(),
        cloud_s.tolist(), np.sqrt(own_variance).tolist(), length_spread, length_spread.tolist(), variances,
        (edge_s + costs.local_finish @ size * factors[:, 0]).tolist(),
    )  # fmt: skip
