"""One sending of a request's boundary tensors to one replica, and what is predicted of it."""

from __future__ import annotations

import time
from typing import NamedTuple

from nodes.accepted_request import AcceptedRequest
from nodes.codecs.base import EncodedTensor
from nodes.guarded_connection import GuardedConnection
from nodes.protocol.edge_stream import WireRequest
from nodes.resumption import remote_s
from nodes.stall_watch import StallWatch
from nodes.way_watch import WayWatch

__all__ = ["Sending", "sent_remote_s", "sent_to", "wire_request"]


class Sending(NamedTuple):  # made for each request
    """remote_s: in how long that replica was predicted to have answered, as it was sent. expected_s: the same by the
    plan's own prediction, which says how long to wait. request_id: on the wire.
    way: whether its bytes get up; None where the edge must not finish it."""

    replica: GuardedConnection
    sent_s: float
    remote_s: float
    expected_s: float
    request_id: int
    watch: StallWatch
    way: WayWatch | None = None

    @property
    def got_on_s(self) -> float:
        """When it last did, or was sent first."""
        return self.watch.got_on_s(self.replica.progress(self.request_id))


def sent_to(accepted: AcceptedRequest, replica: GuardedConnection, request_id: int | None, since_s: float) -> Sending:
    """Made now. request_id: on the wire, None for a new one. since_s: when the first replica was asked."""
    number = next(accepted.around.wire_ids) if request_id is None else request_id
    now_s, watch = time.monotonic(), StallWatch(since_s)
    expected_s = accepted.expected_s(_cloud_s(accepted, replica), now_s)
    # What has begun is under way already.
    up_bytes = accepted.around.replicas.in_flight_bytes + (accepted.uplink_bytes if request_id is None else 0)
    way = _way(accepted, replica, up_bytes, now_s)
    return Sending(replica, now_s, _remote_s(accepted, replica, up_bytes), expected_s, number, watch, way)


def sent_remote_s(accepted: AcceptedRequest, replica: GuardedConnection) -> float:
    """Until that replica would have answered, sent now behind what is on the link; infinite for an unknown link."""
    return _remote_s(accepted, replica, accepted.uplink_bytes + accepted.around.replicas.in_flight_bytes)


def wire_request(
    accepted: AcceptedRequest, request_id: int, tensors: tuple[EncodedTensor, ...], now_s: float
) -> WireRequest:
    """What is sent. now_s: when."""
    batch, costs = accepted.request.inputs.batch, accepted.choice.entry.costs
    return WireRequest(
        request_id=request_id,
        wire_digest=accepted.choice.entry.plan.wire_digest,
        batch=batch,
        tensors=tensors,
        remaining_s=None if accepted.deadline_s is None else accepted.deadline_s - now_s,
        deadline_s=accepted.deadline_s,
        priority=accepted.request.priority,
        traceparent=accepted.request.traceparent,
        expected_cloud_s=costs.cloud.at(batch),
        expected_bytes=accepted.uplink_bytes,
    )


def _cloud_s(accepted: AcceptedRequest, replica: GuardedConnection) -> float:
    """Wait and work there."""
    return replica.cloud_queue_s + accepted.choice.entry.costs.cloud.at(accepted.request.inputs.batch)


def _remote_s(accepted: AcceptedRequest, replica: GuardedConnection, up_bytes: int) -> float:
    return remote_s(accepted.around.chooser.link(), up_bytes, accepted.downlink_bytes, _cloud_s(accepted, replica))


def _way(accepted: AcceptedRequest, replica: GuardedConnection, up_bytes: int, now_s: float) -> WayWatch | None:
    link = accepted.around.chooser.link()
    if link is None or accepted.cloud_required:
        return None
    return WayWatch(now_s, link.uplink_s(up_bytes), link.rtt_s, replica.arrived_bytes)
