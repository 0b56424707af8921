"""An edge whose requests, times and sizes come from a decision log: what a simulated edge asks of its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from partitioner.plan_table import PlanEntry, PlanTable
from simulations.edge_facts import EdgeFacts
from simulations.replay.cloud_history import CloudHistory
from simulations.replay.device_history import DeviceHistory
from simulations.replay.logged_request import LoggedRequest
from simulations.request_spread import RequestFactors
from simulations.site_request import Arrival

__all__ = ["RecordedArrival", "RecordedFacts", "recorded_arrivals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedArrival(Arrival):
    """number: its place among the run's requests. table: the plans that were on offer when it came."""

    number: int
    request: LoggedRequest
    table: PlanTable


class RecordedFacts(EdgeFacts):
    """Of `RecordedArrival`s alone."""

    def __init__(self, tables: Mapping[str, PlanTable], device: DeviceHistory) -> None:
        """tables: by model."""
        super().__init__(tables)
        self._device = device

    def table(self, arrival: Arrival) -> PlanTable:
        """See EdgeFacts."""
        return _recorded(arrival).table

    def factors(self, arrival: Arrival, entry: PlanEntry) -> RequestFactors:
        """See EdgeFacts."""
        request, costs, device = _recorded(arrival).request, entry.costs, self._device
        items = arrival.items
        crosses = entry.uplink_bytes(items, 0)
        file_bytes = arrival.file_bytes if entry.file_crosses else 0
        return RequestFactors(
            edge=_over(device.edge_s(request, entry), costs.edge.at(items)),
            size=_over(device.uplink_bytes(request, entry) - file_bytes, crosses),
            cloud=_over(device.cloud_s(request, entry), costs.cloud.at(items)),
            finish=_over(device.finish_s(request, entry), costs.local_finish.at(items)),
        )

    def besides_s(self, entry: PlanEntry) -> float:
        """See EdgeFacts."""
        return self._device.besides(entry)


def recorded_arrivals(requests: Sequence[LoggedRequest], cloud: CloudHistory) -> list[RecordedArrival]:
    """Of a run's requests. One that was refused finds the plans and the cloud that the one before it did."""
    placed = [one for one in requests if one.placed is not None]
    last = {one.asked.model: one.placed for one in reversed(placed)}
    arrivals = []
    for number, request in enumerate(requests):
        asked = request.asked
        found = request.placed or last.get(asked.model)
        if found is None:
            continue  # no plan of its model is known: nothing can be said of it
        last[asked.model] = found
        arrivals.append(
            RecordedArrival(
                asked.came_s, asked.file_bytes, asked.asked_s, client=asked.client, priority=asked.priority,
                model=asked.model, request_class=asked.request_class, form=asked.form, policy=asked.policy,
                plan_id=asked.plan_id, cloud_reachable=found.cloud_reachable, cloud_wait_s=cloud.wait_s(asked.came_s),
                items=asked.batch, number=number, request=request, table=found.table,
            )
        )  # fmt: skip
    return arrivals


def _recorded(arrival: Arrival) -> RecordedArrival:
    assert isinstance(arrival, RecordedArrival)
    return arrival


def _over(took: float, said: float) -> float:
    """As a factor; costs of nothing stay nothing."""
    return max(0.0, took) / said if said > 0 else 1.0
