"""Values of the node as messages of the stream, and back.

What a replica says of its times is in everything that an edge predicts: what is no time is its fault, and ends the
stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from isthmus.errors import RemoteProtocolError
from isthmus.v1 import segment_pb2 as pb
from nodes.protocol.assembly import ReceiveSpan
from nodes.protocol.events import CloudTimings, LoadReported, MeasuredBatch, PlanDefinition, PlanTimes, WireCodec

__all__ = ["load_of", "offer_message", "plan_of", "plan_times_of", "ready_message", "timings_of", "write_timings"]

LONGEST_S = 1e6
"""More than a week: nothing that a replica measures takes so long, and sums of such times are still numbers."""


def offer_message(plan: PlanDefinition) -> pb.PlanOffer:
    """`plan_of` reads it back."""
    return pb.PlanOffer(
        wire_digest=plan.wire_digest,
        model_digest=plan.model_digest,
        edge_ops=plan.edge_ops,
        uplink=_codec_messages(plan.uplink),
        downlink=_codec_messages(plan.downlink),
    )


def plan_of(offer: pb.PlanOffer) -> PlanDefinition:
    """The plan that is offered."""
    return PlanDefinition(
        wire_digest=offer.wire_digest,
        model_digest=offer.model_digest,
        edge_ops=tuple(offer.edge_ops),
        uplink=_codecs_of(offer.uplink),
        downlink=_codecs_of(offer.downlink),
    )


def _codec_messages(codecs: Sequence[WireCodec]) -> list[pb.TensorCodec]:
    return [pb.TensorCodec(tensor=c.tensor, codec=c.codec, parameters=c.parameters) for c in codecs]


def _codecs_of(codecs: Iterable[pb.TensorCodec]) -> tuple[WireCodec, ...]:
    return tuple(WireCodec(c.tensor, c.codec, dict(c.parameters)) for c in codecs)


def ready_message(wire_digest: str, times: PlanTimes) -> pb.PlanReady:
    """`plan_times_of` reads the times back."""
    return pb.PlanReady(
        wire_digest=wire_digest,
        times=[pb.MeasuredBatch(**asdict(one)) for one in times.batches],
        suffix=[pb.SuffixTime(items=items, seconds=seconds) for items, seconds in times.suffix_s],
    )


def plan_times_of(message: pb.PlanReady) -> PlanTimes:
    """What a replica measured of a plan. Raises RemoteProtocolError for what cannot have been measured."""
    for one in message.times:
        if one.batch < 1:
            raise RemoteProtocolError(f"plan times are of batches of 1 or more: {one.batch}")
        _check_seconds("plan times", one.suffix_s, one.decode_s, one.encode_s, one.spread_s)
    _check_seconds("suffix times", *(one.seconds for one in message.suffix))
    return PlanTimes(
        tuple(MeasuredBatch(t.batch, t.suffix_s, t.decode_s, t.encode_s, t.spread_s) for t in message.times),
        tuple((one.items, one.seconds) for one in message.suffix),
    )


def write_timings(timings: CloudTimings, message: pb.CloudTimings) -> None:
    """Into a message that is part of another one; `timings_of` reads it back."""
    message.receive_s, message.receive_bytes = timings.receive.seconds, timings.receive.size_bytes
    message.queue_s, message.decode_s = timings.queue_s, timings.decode_s
    message.suffix_s, message.encode_s = timings.suffix_s, timings.encode_s


def timings_of(message: pb.CloudTimings) -> CloudTimings:
    """What a replica says of its stages. Raises RemoteProtocolError for what are no times."""
    _check_seconds("timings", message.receive_s, message.queue_s, message.decode_s, message.suffix_s, message.encode_s)
    return CloudTimings(
        receive=ReceiveSpan(message.receive_s, message.receive_bytes),
        queue_s=message.queue_s,
        decode_s=message.decode_s,
        suffix_s=message.suffix_s,
        encode_s=message.encode_s,
    )


def load_of(message: pb.LoadReport) -> LoadReported:
    """What waits at a replica. Raises RemoteProtocolError for what is no time."""
    _check_seconds("load report", message.queued_s)
    return LoadReported(message.queued_requests, message.queued_s)


def _check_seconds(what: str, *values: float) -> None:
    for value in values:
        if not 0 <= value <= LONGEST_S:  # NaN is in no range
            raise RemoteProtocolError(f"{what} must be 0 to {LONGEST_S:g} s: {value}")
