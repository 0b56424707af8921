"""Values of the node as messages of the stream, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from isthmus.v1 import segment_pb2 as pb
from nodes.protocol.assembly import ReceiveSpan
from nodes.protocol.events import CloudTimings, MeasuredBatch, PlanDefinition, PlanTimes, WireCodec

__all__ = ["offer_message", "plan_of", "plan_times_of", "ready_message", "timings_of", "write_timings"]


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
    """What a replica measured of a plan."""
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
    """What a replica says of its stages."""
    return CloudTimings(
        receive=ReceiveSpan(message.receive_s, message.receive_bytes),
        queue_s=message.queue_s,
        decode_s=message.decode_s,
        suffix_s=message.suffix_s,
        encode_s=message.encode_s,
    )
