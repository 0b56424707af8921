"""What a node asks of whoever decides: the `Chooser` Protocol, and the facts that go in and out of a choice.

The node defines the question; the scheduler answers it. All times are durations in seconds or readings of the caller's
monotonic clock, handed in: a chooser has no clock of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from nodes.admission import Admission
from nodes.queues import CloudQueue, EdgeQueue, WayUp
from partitioner.link import Link
from partitioner.plan import Prediction
from partitioner.plan_table import Correction, PlanEntry, PlanTable

__all__ = [
    "EVEN",
    "HOPELESS",
    "Asked",
    "Choice",
    "ChoiceRequest",
    "Chooser",
    "Exchange",
    "Outcome",
    "Refused",
    "StageTimes",
    "Terms",
    "Transfer",
]

InputForm = Literal["tensor", "bytes"]
EVEN = 0.5
"""The sureness of a plan that is predicted to end in time, no more."""
HOPELESS = 0.01
"""On an idle edge only what is this unlikely to end in time is refused: a late answer there costs nobody else."""


class ChoiceRequest(NamedTuple):  # made twice for each request, in a third of the time of a frozen dataclass
    """One request, as the policy sees it.

    table: the plans that are ready to run, those that need the cloud only while it is reachable.
    file_bytes: length of the encoded files in a request of the "bytes" form, over the whole batch; 0 otherwise.
    remaining_s: time left until the deadline, None without one.
    edge_queue_s, cloud_queue_s: expected waits before the prefix and before the suffix start.
    overhead_s: what a request of this size costs outside the node's own account, whatever the plan: the client's hop.
    uplink_spread, downlink_spread: how unsure the believed bandwidth is, as a share of it.
    policy: a policy's name that the request asks for, "" for the configured one; of what a policy is asked, the name of
    who decides, with " (canary)" for a canary. plan_id: a plan forced by the request.
    corrections: by plan id, how far its requests lately were from its costs; a plan that is not there is as it says.
    rate_per_s: how many requests a second lately were given something to do on the edge.
    previous: the id of the plan that the configured policy chose last for this model and form, "" before it did.
    request_id: the node's name for it. request_class: the client's word for what kind of request it is, "" for none.
    now_s: when its turn began, on the node's monotonic clock. came_s: when it came, None for then: what is between is
    its wait for its turn. priority, client: see `nodes.admission.Arriving`.
    uplink_queue_s: until what was sent before it has crossed; what a prefix takes of it is no wait.
    spare_s, sureness: what it is let in by (see `nodes.admission.Outlook`); spare_s None where the edge must not finish
    it. A plan ends in time that has that probability of it, or by what the edge can spare. idle: where there is none,
    one that is less likely will do, down to HOPELESS.
    canary: whether it is one of the canary's (see `Terms`); None where that was not asked before.
    asked_s: from its coming, within how long the client itself asked for an answer, None for whenever; what remains may
    be less, by the deadline of whoever decides. No policy needs it: it is for who runs the request under another one.
    """

    table: PlanTable
    form: InputForm
    batch: int
    file_bytes: int = 0
    remaining_s: float | None = None
    edge_queue_s: float = 0.0
    cloud_queue_s: float = 0.0
    overhead_s: float = 0.0
    cloud_reachable: bool = True
    plan_id: str = ""
    request_id: str = ""
    request_class: str = ""
    now_s: float = 0.0
    uplink_queue_s: float = 0.0
    spare_s: float | None = None
    sureness: float = EVEN
    came_s: float | None = None
    priority: int = 0
    client: str = ""
    idle: bool = False
    asked_s: float | None = None
    canary: bool | None = None
    policy: str = ""
    uplink_spread: float = 0.0
    downlink_spread: float = 0.0
    corrections: Mapping[str, Correction] = MappingProxyType({})
    previous: str = ""
    rate_per_s: float = 0.0

    @property
    def waited_s(self) -> float:
        """For its turn."""
        return 0.0 if self.came_s is None else self.now_s - self.came_s

    def believing(
        self, policy: str, uplink_spread: float, downlink_spread: float, corrections: Mapping[str, Correction],
        previous: str, rate_per_s: float,
    ) -> ChoiceRequest:  # fmt: skip
        """The request with who decides and with what the chooser knows: what a policy is asked."""
        # In a third of the time of _replace.
        return ChoiceRequest._make(
            (*self[:22], policy, uplink_spread, downlink_spread, corrections, previous, rate_per_s)
        )


@dataclass(frozen=True)  # no slots: the reason is worked out once
class Choice:
    """A plan for one request and its predicted breakdown on the live link.

    why: the reason in one line, or what makes it: working it out takes longer than choosing, and can wait. policy: the
    name of who chose, "" where the policy made its choice without a forecast. finish_s: what the edge would take for
    the rest, where the cloud does not answer, as its requests lately took; None for what the plan's costs say.
    """

    entry: PlanEntry
    predicted: Prediction
    why: str | Callable[[], str] = field(compare=False)
    policy: str = field(default="", compare=False)
    finish_s: float | None = field(default=None, compare=False)

    def finishes_in_s(self, batch: int) -> float:
        """What the edge would take for the rest of a request of so many items."""
        return self.entry.costs.local_finish.at(batch) if self.finish_s is None else self.finish_s

    @functools.cached_property
    def reason(self) -> str:
        """Why this plan, in one line."""
        return self.why if isinstance(self.why, str) else self.why()


class Terms(NamedTuple):  # made for each request
    """timeout_s: the deadline that who decides for a request gives it, from its coming; None for none. canary: whether
    that is the canary, whichever it is by then."""

    timeout_s: float | None
    canary: bool


class Transfer(NamedTuple):  # made at each request
    """What one transfer taught about a link: bytes that arrived over a span, on the receiver's clock.

    direction: "up" is edge to cloud. finished: False where no more than these bytes had arrived after that span,
    although more were sent, as of a request that is given up.
    """

    direction: Literal["up", "down"]
    size_bytes: int
    span_s: float
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request whose upload was one frame, alone on the link: no span of its own, so its whole time on the way counts.

    wire_s: from sending to the answer, less what the replica says it spent.
    """

    up_bytes: int
    down_bytes: int
    wire_s: float


class StageTimes(NamedTuple):  # made for each request
    """What one answered request really took and sent, to compare with what its plan's costs say.

    cloud_s, uplink_bytes: None where the edge finished by itself. besides_s: choosing and waiting, less the waits that
    were predicted; None where other requests were under way and some of it was a queue.
    """

    entry: PlanEntry
    batch: int
    file_bytes: int
    edge_s: float
    cloud_s: float | None
    uplink_bytes: int | None
    besides_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request that a plan was chosen for. The stages are disjoint and sum to what it took; all 0 and
    finished_by "" where it failed, `failure` says how.

    sendings: how often its boundary tensors were sent. replica: the id of the one that answered, "" where none did.
    """

    request_id: str
    edge_queue_s: float = 0.0
    edge_s: float = 0.0
    uplink_s: float = 0.0
    cloud_queue_s: float = 0.0
    cloud_s: float = 0.0
    downlink_s: float = 0.0
    wire_bytes: int = 0
    finished_by: str = ""
    sendings: int = 0
    failure: str = ""
    replica: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client sent. came_s: on the clock of whoever keeps it. timeout_s: from then, None without a deadline: the
    client's own, `asked_s`, or that of whoever decided for it where that is sooner.
    policy, plan_id: that the request itself named, "" for none. The rest as in ChoiceRequest."""

    came_s: float
    model: str
    form: InputForm
    batch: int
    file_bytes: int
    timeout_s: float | None
    priority: int
    client: str
    request_class: str
    policy: str
    plan_id: str
    asked_s: float | None = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Refused(Asked):
    """A request that ended before a plan was chosen for it: it was not let in, or no plan was good enough.

    came_s: on the node's monotonic clock. failure: why, in words. request_id: as in ChoiceRequest.
    """

    failure: str
    request_id: str = ""


class Chooser(Protocol):
    """Chooses a plan for each request and learns from what the link did.

    Implementations are cheap (microseconds) and thread-compatible: the node calls them from one event loop.
    """

    def choose(self, request: ChoiceRequest) -> Choice:
        """A plan for this request. Raises NotFound for an unknown policy or forced plan, Unavailable when the policy in
        force finds none, CloudUnavailable when only the cloud could answer and it is not there, DeadlineUnreachable
        when no plan meets the deadline as surely as it has to; what a policy was asked and refused is kept with all
        that was believed."""
        ...

    def may_cross(self, request: ChoiceRequest) -> bool:
        """Whether a request for which no replica is there might use one, as far as who decides for it can tell: those
        that would not wake no cloud. False also where it names a policy that there is not."""
        ...

    def arrives(self, model: str, request_class: str) -> Terms:
        """By what terms a request has come: to be asked once for each, and not for one that names its policy or plan.
        Who decides for it when its turn comes is the one that gave it these, as long as it is in force."""
        ...

    def decider(self, model: str, request_class: str, policy: str, *, canary: bool) -> str:
        """The name of who decides for such a request, that of a canary with " (canary)"; "" where it names a policy
        that there is not. policy: that it names, "" for none. canary: see `Terms`."""
        ...

    def choose_replica(self, count: int, finish_s: Callable[[int], float]) -> int:
        """Which of `count` replicas (at least one) gets a request. finish_s: in how many seconds the one of that number
        would have finished it."""
        ...

    def observe_transfer(self, transfer: Transfer, now_s: float) -> None:
        """Learn bandwidth from a finished transfer."""
        ...

    def observe_exchange(self, exchange: Exchange, now_s: float) -> None:
        """Learn bandwidth from a small request's whole way."""
        ...

    def observe_stages(self, times: StageTimes) -> None:
        """Learn how far a plan's costs are from what its requests take."""
        ...

    def observe_outcome(self, outcome: Outcome) -> None:
        """Keep what became of a request, for whoever asks why."""
        ...

    def observe_refusal(self, refused: Refused) -> None:
        """Keep that a request came and went."""
        ...

    def observe_rtt(self, rtt_s: float, now_s: float) -> None:
        """Learn the round-trip time from a small echo."""
        ...

    def edge_queue(self) -> EdgeQueue:
        """A fresh estimate of the wait for a device's compute, with one worker."""
        ...

    def cloud_queue(self) -> CloudQueue:
        """A fresh estimate of the wait on one replica."""
        ...

    def way_up(self) -> WayUp:
        """A fresh estimate of the wait for the link that all replicas are reached over."""
        ...

    def admission(self, queue: int, depth: int) -> Admission:
        """A fresh admission. queue: requests let in at once. depth: of these, on the edge's compute or before it."""
        ...

    def link(self) -> Link | None:
        """The link as now believed, None before anything was measured."""
        ...
