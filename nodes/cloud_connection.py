"""What an edge node needs of a connection to one cloud replica; `nodes.transport` implements it over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nodes.edge_use import EdgeUse
from nodes.fleet import ModelVersion
from nodes.protocol.edge_stream import WireRequest
from nodes.protocol.events import PlanDefinition, PlanTimes, ResponseArrived
from nodes.protocol.progress import Progress
from nodes.protocol.send_window import Credit
from nodes.tensor_feed import TensorFeed

__all__ = ["CloudConnection", "LinkObserver", "ReplicaDescription"]


@dataclass(frozen=True, slots=True)
class ReplicaDescription:
    """What a replica says of itself. versions: of every model that it serves; device_profile_json: measured there;
    counts: what became of the work that arrived there, by the names of ExecutionCounts; and, over the wire, `streams`
    of edges and `settled_streams`, those that have plans prepared there and are preparing none. package_version: ""
    where it was not said; protocol: major and minor of the stream, (0, 0) where they were not. edges: one for each
    stream, over the wire; none where the replica's version does not say."""

    replica_id: str
    versions: tuple[ModelVersion, ...]
    device_profile_json: str
    counts: Mapping[str, int] = field(default_factory=dict)
    package_version: str = ""
    protocol: tuple[int, int] = (0, 0)
    edges: tuple[EdgeUse, ...] = ()

    def serves(self, name: str, digest: str) -> bool:
        """Whether that version of that model is served there."""
        return ModelVersion(name, digest) in self.versions


class LinkObserver(Protocol):
    """Hears what the link did, and says what it is believed to carry."""

    def uplink_bps(self) -> float | None:
        """Bits a second from edge to cloud, None before anything was measured."""

    def downlink_bps(self) -> float | None:
        """The same from cloud to edge."""

    def rtt_measured(self, rtt_s: float) -> None:
        """A small echo came back."""

    def transfer_measured(self, direction: str, size_bytes: int, span_s: float) -> None:
        """Bytes arrived over a span, on the receiver's clock. direction: "up" or "down"."""

    def exchange_measured(self, up_bytes: int, down_bytes: int, wire_s: float) -> None:
        """A request whose upload was one frame, alone on the link, was answered: the time there and back, less what
        the replica says it spent."""


class CloudConnection(Protocol):
    """A stream to one replica. Every call ends in a result or an IsthmusError; nothing hangs after `close`."""

    @property
    def replica_id(self) -> str:
        """The replica that answered, which the one that was dialled need not be."""

    @property
    def open(self) -> bool:
        """Whether requests can be sent now: welcomed, not draining, not broken."""

    @property
    def in_flight(self) -> int:
        """Requests sent and not answered."""

    @property
    def in_flight_bytes(self) -> int:
        """Encoded bytes of the requests in flight: what is before a new one on the link, at most."""

    @property
    def credit(self) -> Credit | None:
        """Bytes under way on the stream of those that may be; None where the replica does not acknowledge."""

    @property
    def heard_s(self) -> float:
        """When the replica last said anything, on the monotonic clock."""

    def when_heard(self, listener: Callable[[], None]) -> None:
        """`listener`, one at most, is called whenever the replica has said anything; it must not wait."""

    def progress(self, request_id: int) -> Progress:
        """How far a request has got, as long as it is in flight."""

    @property
    def arrived_bytes(self) -> int:
        """Of all that was sent, what the replica is known to have: the count of `Progress`."""

    def ask_arrived(self) -> None:
        """Have an echo follow what was sent, to hear when it is there; it times nothing."""

    def stayed(self) -> None:
        """A request was answered or refused without this replica, whose link then is looked at now and then."""

    def outstayed(self, request_id: int) -> None:
        """That request is waited for past its patience: what it takes says nothing of the link."""

    @property
    def late_answers(self) -> int:
        """Answers that came after their request was cancelled, and were discarded."""

    @property
    def cloud_queue_s(self) -> float:
        """The wait that the replica last reported."""

    async def describe(self) -> ReplicaDescription:
        """Ask the replica what it serves. Raises CloudUnavailable."""

    async def prepare(self, plan: PlanDefinition) -> PlanTimes:
        """Have the replica split, warm up and measure a plan. Raises InvalidPlan, NotFound, CloudUnavailable."""

    @property
    def takes_more_tensors(self) -> bool:
        """Whether `run` takes a request whose tensors are not all made: its replica understands that."""

    async def run(self, request: WireRequest, feed: TensorFeed | None = None) -> ResponseArrived:
        """Send boundary tensors, await the outputs. Cancelling the call cancels the request. feed: brings those that
        were not made yet.

        Raises CloudUnavailable when the connection breaks, UnknownPlan for a plan that the replica has not prepared,
        and what else its error frame says.
        """

    async def wait_until_unusable(self) -> None:
        """Return once no more requests can be sent: broken, or the replica drains."""

    async def wait_until_answered(self) -> None:
        """Return once nothing is in flight."""

    async def close(self) -> None:
        """Say goodbye and let go; requests in flight end in CloudUnavailable."""
