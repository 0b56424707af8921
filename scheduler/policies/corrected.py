"""What each plan uses for one size of request, by its costs and by how far its requests lately were from them.

One row a plan, one column an amount; whatever a plan is judged by is then a product with the prices of the amounts.
Worked out once for each size of request after something was learned, and kept with what was learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from partitioner.cost_arrays import AMOUNTS, CostArrays
from partitioner.plan import InputForm
from partitioner.plan_table import NO_CORRECTION, Correction, PlanTable

__all__ = ["PRICED_AMOUNTS", "Amounts", "Corrections"]

PRICED_AMOUNTS = AMOUNTS
"""Columns of `Amounts.matrix`."""

Floats = NDArray[np.float64]
# Each amount is multiplied by one of a correction's columns (edge, cloud, uplink bytes, finishing, seconds besides), or
# by 1.
_FACTOR_OF_AMOUNT = np.array((0, 2, 5, 1, 5, 5, 2, 4, 5))
_FINISH, _FACTORS = 3, 6
# More sizes of requests than this in one epoch of what was learned are worked out anew.
_MOST_KEPT = 32


class Amounts:
    """The plans of one form for one batch. No dataclass: one is made whenever something was learned, and what only some
    policies ask for is worked out when they do.

    matrix: columns edge seconds, uplink bytes, downlink bytes, cloud seconds, 1 where it crosses, 1 where the edge has
    something to do, the share of the request's files that crosses (corrected), seconds besides, 1. numbers: of all
    plans. crossing, split: which of them do. of_kind: the numbers of each kind of cut that there is. spreads: of edge,
    cloud and message of each plan, as shares.
    """

    def __init__(self, table: PlanTable, form: InputForm, batch: int, factors: Floats) -> None:
        """factors: a row a plan; edge, cloud, uplink bytes, finishing, seconds besides, 1."""
        costs = table.cost_arrays(form)
        sized = costs.for_batch(batch)
        self._costs, self._sized, self._factors = costs, sized, factors
        self.table, self.entries, self.index = table, table.for_form(form), costs.index
        self.numbers, self.crossing, self.split = range(len(self.entries)), costs.crossing, costs.split
        self.of_kind, self.spreads = costs.of_kind, sized.spreads
        self.matrix: Floats = sized.amounts * factors.take(_FACTOR_OF_AMOUNT, axis=1)

    def row(self, number: int) -> list[float]:
        """The amounts of one plan."""
        amounts: list[float] = self.matrix[number].tolist()
        return amounts

    @cached_property
    def edge_s(self) -> list[float]:
        """By plan."""
        seconds: list[float] = self.matrix[:, 0].tolist()
        return seconds

    @cached_property
    def joined_edge_s(self) -> Floats:
        """Of each plan, by how much its prefix makes the edge's queue longer: all of its edge seconds, less what one
        saves, as measured, whose prefix runs with others' as one."""
        joined: Floats = np.maximum(self.matrix[:, 0] - self._sized.saved_s * self._factors[:, 0], 0.0)
        return joined

    @cached_property
    def cloud_s(self) -> list[float]:
        """By plan."""
        seconds: list[float] = self.matrix[:, 3].tolist()
        return seconds

    @cached_property
    def finish_s(self) -> list[float]:
        """What the edge takes for the rest of each plan, where the cloud does not answer."""
        seconds: list[float] = (self._sized.local_finish_s * self._factors[:, _FINISH]).tolist()
        return seconds

    @cached_property
    def alone_s(self) -> list[float]:
        """What it takes for all of the model then."""
        return [edge_s + finish_s for edge_s, finish_s in zip(self.edge_s, self.finish_s, strict=True)]

    @cached_property
    def variances(self) -> Floats:
        """What the variance of a plan's time is made of besides its message: both sides' own in square seconds, squares
        of the downlink bytes, 1 where it crosses, 1 where the edge has something to do; in the matrix's columns."""
        return np.square(self.matrix) * self._sized.variances

    @property
    def length_variances(self) -> Floats:
        """Of the plans' messages, as shares squared."""
        return self._sized.length_variances


class Corrections(Mapping[str, Correction]):
    """Corrections by plan id, and the amounts that follow from them. What it holds never changes."""

    def __init__(self, by_plan: Mapping[str, Correction]) -> None:
        """by_plan: a plan that is not in it is as its costs say."""
        index = {plan_id: number for number, plan_id in enumerate(by_plan)}
        self._hold(index, _rows(by_plan.values()))

    @classmethod
    def learned(cls, index: Mapping[str, int], factors: Floats) -> Corrections:
        """index: the row of each plan by its id. factors: see Amounts; must not change any more."""
        made = cls.__new__(cls)
        made._hold(index, factors)
        return made

    def _hold(self, index: Mapping[str, int], factors: Floats) -> None:
        self._index, self._factors = index, factors
        self._amounts: dict[tuple[InputForm, int], Amounts] = {}

    def __getitem__(self, plan_id: str) -> Correction:
        edge, cloud, uplink_bytes, finish, overhead_s, _ = self._factors[self._index[plan_id]].tolist()
        return Correction(edge, cloud, uplink_bytes, overhead_s, finish)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def amounts(self, table: PlanTable, form: InputForm, batch: int) -> Amounts:
        """What the table's plans of that form use for `batch` items."""
        known = self._amounts.get((form, batch))
        if known is not None and known.table is table:
            return known
        if len(self._amounts) >= _MOST_KEPT:
            self._amounts.clear()
        made = self._amounts[form, batch] = Amounts(table, form, batch, self._factors_of(table.cost_arrays(form)))
        return made

    def _factors_of(self, costs: CostArrays) -> Floats:
        """In the order of these plans."""
        if costs.index is self._index:
            return self._factors
        return _rows(self.get(plan_id, NO_CORRECTION) for plan_id in costs.index)


def _rows(corrections: Iterable[Correction]) -> Floats:
    rows = [(one.edge, one.cloud, one.uplink_bytes, one.finish, one.overhead_s, 1.0) for one in corrections]
    return np.array(rows).reshape(-1, _FACTORS)
