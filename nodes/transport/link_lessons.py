"""What an answered request teaches about the link that it crossed."""

from __future__ import annotations

from nodes.cloud_connection import LinkObserver
from nodes.codecs.base import encoded_bytes
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import ResponseArrived

__all__ = ["learn_from_spans", "learn_from_whole"]


def learn_from_spans(observer: LinkObserver, response: ResponseArrived) -> None:
    """Each direction's chunks, from the first to the last, on the clock of the side that received them."""
    up, down = response.timings.receive, response.receive
    if up.size_bytes and up.seconds > 0:
        observer.transfer_measured("up", up.size_bytes, up.seconds)
    if down.size_bytes and down.seconds > 0:
        observer.transfer_measured("down", down.size_bytes, down.seconds)


def learn_from_whole(observer: LinkObserver, request: WireRequest, response: ResponseArrived, elapsed_s: float) -> None:
    """An upload in one frame has no span of its own: its whole way tells the bandwidth."""
    timings = response.timings
    if timings.receive.size_bytes == 0:
        wire_s = elapsed_s - timings.queue_s - timings.compute_s
        observer.exchange_measured(encoded_bytes(request.tensors), encoded_bytes(response.tensors), wire_s)
