"""Random plan tables and states, and what each plan takes worked out one by one: what policies are judged against."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.measurements import AffineTime
from partitioner.plan_table import NO_CORRECTION, Correction, PlanEntry, PlanTable
from tests.scheduler.conftest import DIGEST, make_entry

__all__ = ["Stages", "cases", "quickest_of", "stages_of", "usable_of"]

seconds = st.floats(0, 2)
sizes = st.integers(0, 10**6)
factors = st.builds(Correction, st.floats(0.25, 4), st.floats(0.25, 4), st.floats(0.25, 4), st.floats(0, 0.1))
drawn_plans = st.tuples(
    st.sampled_from(["", "input", "a", "b", "c"]),
    st.sampled_from(["raw", "zstd", "file"]),
    st.tuples(seconds, seconds, seconds, seconds),
    st.tuples(sizes, sizes),
    st.tuples(st.floats(0, 0.5), st.integers(0, 10**5)),
)


@dataclass(frozen=True)
class Stages:
    """What one plan takes for one request, in seconds; the waits are 0 where it does not wait. up_wait: of the link's
    wait, what is left when the prefix has ended; up_queue: all of it."""

    edge_wait: float
    edge: float
    up_wait: float
    up: float
    rtt: float
    cloud_wait: float
    cloud: float
    down: float
    besides: float
    up_queue: float = 0.0

    @property
    def total(self) -> float:
        """From now to the answer."""
        return (
            math.fsum(
                (self.edge_wait, self.edge, self.up_wait, self.up, self.rtt, self.cloud_wait, self.cloud, self.down)
            )
            + self.besides
        )


def stages_of(entry: PlanEntry, request: ChoiceRequest, link: Link) -> Stages:
    """By the words of PlanEntry, PlanCosts and ChoiceRequest, without any array."""
    costs, plan, batch = entry.costs, entry.plan, request.batch
    factor = request.corrections.get(plan.plan_id, NO_CORRECTION)
    waits = plan.kind != "cloud-only" or any(tensor.codec != "file" for tensor in plan.boundary)
    edge = (costs.edge.fixed_s + costs.edge.per_item_s * batch) * factor.edge
    besides, edge_wait = request.overhead_s + factor.overhead_s, request.edge_queue_s if waits else 0.0
    if plan.kind == "edge-only":
        return Stages(edge_wait, edge, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, besides)
    up_bytes = entry.uplink_bytes(batch, request.file_bytes) * factor.uplink_bytes
    up, down = 8 * up_bytes / link.uplink_bps, 8 * entry.downlink_bytes(batch) / link.downlink_bps
    cloud = (costs.cloud.fixed_s + costs.cloud.per_item_s * batch) * factor.cloud
    up_wait = max(0.0, request.uplink_queue_s - edge_wait - edge)
    up_queue, cloud_wait = request.uplink_queue_s, request.cloud_queue_s
    return Stages(edge_wait, edge, up_wait, up, link.rtt_s, cloud_wait, cloud, down, besides, up_queue)


def usable_of(request: ChoiceRequest, link: Link) -> list[PlanEntry]:
    """The plans that can run now and are predicted to be in time."""
    able = [entry for entry in request.table.entries if request.cloud_reachable or entry.plan.kind == "edge-only"]
    left_s = math.inf if request.remaining_s is None else request.remaining_s
    return [entry for entry in able if stages_of(entry, request, link).total <= left_s]


def quickest_of(among: list[PlanEntry], request: ChoiceRequest, link: Link) -> float:
    """The least time of these plans."""
    return min(stages_of(entry, request, link).total for entry in among)


@st.composite
def cases(draw: st.DrawFn) -> tuple[ChoiceRequest, Link]:
    """A request in any state, and a link; some plan is usable."""
    plans = draw(st.lists(drawn_plans, min_size=1, max_size=8, unique_by=lambda plan: plan[:2] if plan[0] else ""))
    entries = tuple(_entry(*plan) for plan in plans)
    ids = [entry.plan.plan_id for entry in entries]
    link = Link(draw(st.floats(1e5, 1e9)), draw(st.floats(1e5, 1e9)), draw(st.floats(0, 1)))
    request = ChoiceRequest(
        PlanTable("net", DIGEST, entries), "bytes", draw(st.integers(1, 5)), draw(sizes),
        remaining_s=draw(st.none() | st.floats(0, 20)), edge_queue_s=draw(seconds), cloud_queue_s=draw(seconds),
        overhead_s=draw(st.floats(0, 0.01)), uplink_queue_s=draw(st.just(0.0) | st.floats(0, 15)),
        cloud_reachable=draw(st.sampled_from([True, True, True, False])),
        uplink_spread=draw(st.floats(0, 3)), downlink_spread=draw(st.floats(0, 3)),
        corrections=draw(st.dictionaries(st.sampled_from(ids), factors)),
        previous=draw(st.sampled_from(["", *ids])),
    )  # fmt: skip
    able = [entry for entry in entries if request.cloud_reachable or entry.plan.kind == "edge-only"]
    if not able:
        request, able = request._replace(cloud_reachable=True), list(entries)
    if not usable_of(request, link):
        request = request._replace(remaining_s=quickest_of(able, request, link) * 1.5 + 1e-6)
    return request, link


def _entry(
    boundary: str, codec: str, times: tuple[float, ...], up: tuple[int, int], spreads: tuple[float, int]
) -> PlanEntry:
    made = make_entry(
        boundary, codec if boundary in ("", "input") or codec != "file" else "png", size=up[0], spread=spreads[0],
        spread_bytes=spreads[1],
    )  # fmt: skip
    edge, cloud = AffineTime(times[0], times[1]), AffineTime(times[2], times[3])
    per_item = 0.0 if made.file_crosses or not boundary else float(up[1])
    return replace(made, costs=replace(made.costs, edge=edge, cloud=cloud, uplink_bytes_per_item=per_item))
