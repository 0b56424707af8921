"""Where the time of a request would have gone that a simulated edge refused: what a planner asks of a refusal."""

from __future__ import annotations

from isthmus.errors import DeadlineUnreachable
from nodes.chooser import ChoiceRequest
from simulations.edge_link import EdgeLink
from simulations.site_request import StageSeconds

__all__ = ["foreseen", "waits_of"]


def waits_of(request: ChoiceRequest, link: EdgeLink) -> StageSeconds:
    """The waits that it met when its turn came, those of plans that it would not have taken, too: where these are long,
    others' requests are. The link's is the true one: the edge takes what a replica kept waiting for a slow link."""
    return StageSeconds(
        edge_queue_s=request.edge_queue_s,
        uplink_s=link.uplink.wait_s(request.now_s),
        cloud_queue_s=request.cloud_queue_s,
    )


def foreseen(request: ChoiceRequest, link: EdgeLink, error: Exception) -> StageSeconds:
    """Those waits, and what the quickest plan takes besides where the refusal names one: a link or an edge may be too
    slow for a deadline although nothing waits for it. error: that refused it."""
    waits = waits_of(request, link)
    if not (isinstance(error, DeadlineUnreachable) and error.plan_id):
        return waits
    entry, items, now_s = request.table.by_id(error.plan_id), request.batch, request.now_s
    waits = waits._replace(edge_s=entry.costs.edge.at(items), cloud_s=entry.costs.cloud.at(items))
    if entry.plan.kind == "edge-only":
        return waits
    half_trip_s = link.rtt_s(now_s) / 2
    up_s = link.uplink.end_s(entry.uplink_bytes(items, request.file_bytes), now_s) - now_s
    down_s = link.downlink.end_s(entry.downlink_bytes(items), now_s) - now_s
    return waits._replace(uplink_s=waits.uplink_s + up_s + half_trip_s, downlink_s=down_s + half_trip_s)
