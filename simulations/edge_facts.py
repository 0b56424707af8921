"""What simulated edges of one kind share: their plans, and by how much requests differ from these."""

from __future__ import annotations

from collections.abc import Mapping

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup, BatchLimits
from partitioner.measurements import digest_of_ops
from partitioner.plan_table import PlanEntry, PlanTable
from simulations.edge_worker import UNBATCHED
from simulations.request_spread import RequestFactors, RequestSpread, Spread
from simulations.site_request import Arrival

__all__ = ["EdgeFacts"]


class EdgeFacts:
    """tables: the plans by model. overhead_s: what a request takes besides its stages; cloud_overhead_s: what one that
    goes to the cloud takes on top, on its way there. batching: of prefixes that wait."""

    def __init__(
        self,
        tables: Mapping[str, PlanTable],
        spread: Spread = 0.0,
        overhead_s: float = 0.0,
        cloud_overhead_s: float = 0.0,
        batching: BatchLimits = UNBATCHED,
    ) -> None:
        self.batching = batching
        self.tables, self.overhead_s, self.cloud_overhead_s = tables, overhead_s, cloud_overhead_s
        self._spread = spread
        self._spreads: dict[str, RequestSpread] = {}
        self._groups: dict[str, BatchGroup] = {}
        self._times: dict[str, BatchTimes] = {}
        self._alone_s: dict[tuple[str, int], float] = {}

    def alone_s(self, model: str, items: int = 1) -> float:
        """What the edge takes to compute all of a request of so many items, by the quickest plan."""
        known = self._alone_s.get((model, items))
        if known is None:
            costs = [one.costs for one in self.tables[model].entries]
            known = min(one.edge.at(items) + one.local_finish.at(items) for one in costs)
            self._alone_s[model, items] = known
        return known

    def table(self, arrival: Arrival) -> PlanTable:
        """The plans that a request may take."""
        return self.tables[arrival.model]

    def factors(self, arrival: Arrival, entry: PlanEntry) -> RequestFactors:
        """By how much a request differs from that plan's costs."""
        plan_id = entry.plan.plan_id
        known = self._spreads.get(plan_id)
        if known is None:
            known = self._spreads[plan_id] = RequestSpread.of(entry, self._spread)
        return known.factors(arrival.noise)

    def group(self, entry: PlanEntry) -> BatchGroup:
        """Of that plan's prefixes."""
        plan = entry.plan
        known = self._groups.get(plan.plan_id)
        if known is None:
            cut = digest_of_ops(plan.edge_ops)
            known = self._groups[plan.plan_id] = BatchGroup(plan.model_digest, cut, plan.edge_engine, (plan.form,))
        return known

    def edge_times(self, entry: PlanEntry, items: int, expected_s: float) -> BatchTimes:
        """t(B) of all that an edge does for that plan up to the wire, where a request of so many items is now expected
        to take `expected_s`, 0 for what the costs say. Of one item only where nobody measured more."""
        known = self._times.get(entry.plan.plan_id)
        if known is None:
            alone_s, curve = entry.costs.edge.at(1), entry.costs.prefix_s
            known = BatchTimes.of({1: alone_s})
            if curve:
                known = BatchTimes(curve).up_to(self.batching.max_batch).with_rest(alone_s)
            self._times[entry.plan.plan_id] = known
        return known.paced(items, expected_s)

    def besides_s(self, entry: PlanEntry) -> float:
        """What a request by that plan takes besides its stages."""
        return self.overhead_s
