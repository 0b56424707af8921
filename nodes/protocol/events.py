"""What the segment stream tells the node that drives it: one frozen value an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nodes.codecs.base import EncodedTensor
from nodes.protocol.assembly import ReceiveSpan

__all__ = [
    "CloudEvent",
    "CloudTimings",
    "Connected",
    "EchoReturned",
    "EdgeConnected",
    "EdgeEvent",
    "EdgeLeft",
    "LoadReported",
    "MeasuredBatch",
    "PeerDraining",
    "PlanDefinition",
    "PlanPrepared",
    "PlanRejected",
    "PlanTimes",
    "RequestArrived",
    "RequestCancelled",
    "RequestFailed",
    "RequestRejected",
    "ResponseArrived",
    "WireCodec",
]


@dataclass(frozen=True, slots=True)
class WireCodec:
    """The codec of one tensor of a plan, with its parameters."""

    tensor: str
    codec: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MeasuredBatch:
    """Times of a plan's cloud side at one batch size, measured on the replica, in seconds.

    spread_s: by how much repeats of the three together differed; 0 from a replica that does not say.
    """

    batch: int
    suffix_s: float
    decode_s: float
    encode_s: float
    spread_s: float = 0.0

    @property
    def compute_s(self) -> float:
        """Decode, suffix and encode together."""
        return self.decode_s + self.suffix_s + self.encode_s


@dataclass(frozen=True, slots=True)
class PlanTimes:
    """What a replica measured of its side of a plan.

    batches: of single requests of one item and of two, all that is done for them. suffix_s: seconds of the suffix alone
    by items that run as one, as far as batches are made of it there: one size where none is; empty where the replica
    does not say.
    """

    batches: tuple[MeasuredBatch, ...]
    suffix_s: tuple[tuple[int, float], ...] = ()


class CloudTimings(NamedTuple):
    """Durations of one request on the replica's clock; `receive` is the span of its chunks."""

    receive: ReceiveSpan
    queue_s: float
    decode_s: float
    suffix_s: float
    encode_s: float

    @property
    def compute_s(self) -> float:
        """Decode, suffix and encode together."""
        return self.decode_s + self.suffix_s + self.encode_s


# ---- what an edge hears ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """The replica welcomed this edge. models: digest by name."""

    replica_id: str
    models: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PlanPrepared:
    """The replica has split, warmed up and measured a plan."""

    wire_digest: str
    times: PlanTimes


@dataclass(frozen=True, slots=True)
class PlanRejected:
    """The replica will not run a plan. code: a gRPC status name."""

    wire_digest: str
    code: str
    message: str


class ResponseArrived(NamedTuple):
    """All of a response is here. receive: how long its chunks took to arrive."""

    request_id: int
    tensors: tuple[EncodedTensor, ...]
    timings: CloudTimings
    receive: ReceiveSpan


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """The replica answered a request with an error. reason: a stable word such as UNKNOWN_PLAN. retry_after_s: when it
    is worth trying again; None where it said nothing of that."""

    request_id: int
    code: str
    reason: str
    message: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class EchoReturned:
    """An echo came back."""

    token: int


@dataclass(frozen=True, slots=True)
class LoadReported:
    """The replica's queue."""

    queued_requests: int
    queued_s: float


@dataclass(frozen=True, slots=True)
class PeerDraining:
    """The replica takes no new requests; those accepted are answered."""


EdgeEvent = (
    Connected
    | PlanPrepared
    | PlanRejected
    | ResponseArrived
    | RequestFailed
    | EchoReturned
    | LoadReported
    | PeerDraining
)


# ---- what a cloud replica hears ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EdgeConnected:
    """An edge said hello in a version that both speak."""

    edge_id: str


@dataclass(frozen=True, slots=True)
class PlanDefinition:
    """A plan that an edge wants to use: all that fixes the bytes on the wire."""

    wire_digest: str
    model_digest: str
    edge_ops: tuple[str, ...]
    uplink: tuple[WireCodec, ...]
    downlink: tuple[WireCodec, ...]


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """All of a request is here. deadline_s: on this side's clock, None without one. rtt_s, downlink_bps: of the way to
    its edge, as that believes; 0 where it says nothing."""

    request_id: int
    wire_digest: str
    batch: int
    deadline_s: float | None
    priority: int
    tensors: tuple[EncodedTensor, ...]
    receive: ReceiveSpan
    arrived_s: float
    traceparent: str
    rtt_s: float = 0.0
    downlink_bps: float = 0.0

    def back_s(self, answer_bytes: float) -> float:
        """How long an answer of so many bytes takes to its edge, by what that believes."""
        return self.rtt_s / 2 + (8 * answer_bytes / self.downlink_bps if self.downlink_bps > 0 else 0.0)


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """A request broke a rule while it arrived; the stream has queued the error frame."""

    request_id: int
    message: str


@dataclass(frozen=True, slots=True)
class RequestCancelled:
    """The edge took a request back."""

    request_id: int


@dataclass(frozen=True, slots=True)
class EdgeLeft:
    """The edge said goodbye."""


CloudEvent = EdgeConnected | PlanDefinition | RequestArrived | RequestRejected | RequestCancelled | EdgeLeft
