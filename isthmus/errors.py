"""The error tree: who broke the rule, and where.

    IsthmusError
    ├── InvalidInput            the caller broke a rule: names the field, the value and the remedy
    │   ├── InvalidQuantity     a bandwidth, duration or size that is not one
    │   ├── InvalidConfiguration
    │   ├── InvalidModel        not a model, or one that cannot be cut
    │   ├── InvalidPlan         a cut that is not closed, a digest that does not match
    │   ├── InvalidProfile
    │   ├── InvalidRequest      an inference request that breaks the model's contract
    │   ├── TooLarge            more than a configured limit lets through
    │   └── InfeasibleCut       no cut has a finite cost
    ├── NotFound                a model, plan or policy that is not there
    │   └── UnknownPlan         a wire digest that this replica has not prepared
    │       └── PlanAway        its model has made room for another
    ├── Unavailable             try again, or elsewhere
    │   ├── CloudUnavailable
    │   ├── PortInUse
    │   ├── DeviceUnavailable
    │   ├── HostLost        what hosts the nodes does not answer any more
    │   └── Draining
    ├── Overloaded              a bounded queue is full
    │   └── Shed                had to go for requests of more value
    ├── DeadlineExceeded        the time is over
    │   └── DeadlineUnreachable no plan is predicted to end in time: refused before anything was done
    ├── Cancelled
    ├── PermissionDenied        the caller's role does not allow it
    ├── Unsupported             a method of a protocol that makes no sense here
    ├── ComputeFailed           a segment raised
    └── ProtocolError
        ├── LocalProtocolError  this side used the stream wrongly (a bug)
        └── RemoteProtocolError the peer did

`grpc_status_name` maps every leaf to the name of a gRPC status: one table for every server.
"""

from __future__ import annotations

import asyncio

__all__ = [
    "MOST_TOLD_BYTES",
    "Cancelled",
    "CloudUnavailable",
    "ComputeFailed",
    "DeadlineExceeded",
    "DeadlineUnreachable",
    "DeviceUnavailable",
    "Draining",
    "HostLost",
    "InfeasibleCut",
    "InvalidConfiguration",
    "InvalidInput",
    "InvalidModel",
    "InvalidPlan",
    "InvalidProfile",
    "InvalidQuantity",
    "InvalidRequest",
    "IsthmusError",
    "LocalProtocolError",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "PlanAway",
    "PortInUse",
    "ProtocolError",
    "RemoteProtocolError",
    "Shed",
    "TooLarge",
    "Unavailable",
    "UnknownPlan",
    "Unsupported",
    "error_from_status",
    "error_words",
    "grpc_status_name",
    "shortened",
]

MOST_TOLD_BYTES = 500
"""Of an error's words, to a peer, which may have named something as long as a message. A status travels in HTTP/2
trailers, of which gRPC takes 8 KiB: the text three bytes a byte at worst, and once more in the details (base64), where
field and problem stand too. With more a client sees another error instead."""
_SHOWN_VALUE_CHARACTERS = 120


class IsthmusError(Exception):
    """Base of everything this package raises on purpose. The message is one line and ends in the remedy."""


class InvalidInput(IsthmusError):
    """The caller broke a rule.

    field: what was wrong, as the caller knows it ("link.bandwidth", "input image", "--rtt").
    problem: what is wrong with it.
    value: what was given; left out of the message when None.
    remedy: what to do instead.
    """

    def __init__(self, field: str, problem: str, *, value: object = None, remedy: str = "") -> None:
        self.field, self.problem, self.value, self.remedy = field, problem, value, remedy
        given = "" if value is None else f" (got {_shorten(value)})"
        super().__init__(f"{field}: {problem}{given}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.field, self.problem, self.value, self.remedy)


def _rebuild(kind: type[InvalidInput], field: str, problem: str, value: object, remedy: str) -> InvalidInput:
    return kind(field, problem, value=value, remedy=remedy)


def _shorten(value: object) -> str:
    try:
        text = repr(value)
    except RecursionError:  # a document may be nested deeper than repr goes
        return f"a {type(value).__name__} nested too deeply to show"
    return text if len(text) <= _SHOWN_VALUE_CHARACTERS else text[: _SHOWN_VALUE_CHARACTERS - 1] + "…"


class InvalidQuantity(InvalidInput):
    """Not a bandwidth, duration or size."""


class InvalidConfiguration(InvalidInput):
    """A configuration file with a wrong key or value."""


class InvalidModel(InvalidInput):
    """Not a model file, or a model that cannot be cut: names the op or the file's fault."""


class InvalidPlan(InvalidInput):
    """A set of ops that is not a cut of the model, or a plan whose digest does not match."""


class InvalidProfile(InvalidInput):
    """A device profile that is not one, or that belongs to another model."""


class InvalidRequest(InvalidInput):
    """An inference request that breaks the model's contract."""


class TooLarge(InvalidInput):
    """More than a configured limit lets through: the field names the limit."""


class InfeasibleCut(InvalidInput):
    """Every cut has an infinite cost under the given constraints."""

    def __init__(
        self,
        field: str = "cut problem",
        problem: str = "no cut has a finite cost",
        *,
        value: object = None,
        remedy: str = "relax a constraint that forbids an op or a tensor",
    ) -> None:
        super().__init__(field, problem, value=value, remedy=remedy)


class NotFound(IsthmusError):
    """A model, plan, policy or replica of that name is not here."""


class UnknownPlan(NotFound):
    """A wire digest that this replica has not prepared: offer the plan again."""


class PlanAway(UnknownPlan):
    """A plan whose model has made room for another one on this replica: offered again it comes back."""


class Unavailable(IsthmusError):
    """Not now: try again, or elsewhere."""


class CloudUnavailable(Unavailable):
    """No cloud replica answers."""


class PortInUse(Unavailable):
    """The address to listen on is taken."""


class DeviceUnavailable(Unavailable):
    """The device asked for (a GPU) is not there."""


class HostLost(Unavailable):
    """What hosts the nodes does not answer any more, and would not end either: whoever waits for that waits in vain."""


class Draining(Unavailable):
    """This node is going away and takes no new requests."""


class Overloaded(IsthmusError):
    """A bounded queue is full. retry_after_s: when it is worth trying again."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Shed(Overloaded):
    """A bounded queue is full, and what waits in it is of more value."""


class DeadlineExceeded(IsthmusError):
    """The request's time is over, or what is left of it is too short."""


class DeadlineUnreachable(DeadlineExceeded):
    """What is left of the request's time is too short on every plan: nothing was done.

    predicted_s: what it would take. retry_after_s: when it is worth trying again with as much time; None where it is
    not, as it is not others that it would wait for. plan_id: of the quickest plan, "" where no plan was looked at.
    """

    def __init__(
        self,
        message: str,
        *,
        predicted_s: float | None = None,
        retry_after_s: float | None = None,
        plan_id: str = "",
    ) -> None:
        self.predicted_s, self.retry_after_s, self.plan_id = predicted_s, retry_after_s, plan_id
        super().__init__(message)


class Cancelled(IsthmusError):
    """The caller took the request back."""


class PermissionDenied(IsthmusError):
    """The caller may not do this from where it is."""


class Unsupported(IsthmusError):
    """A method of a protocol that is not served here, with what to do instead."""


class ComputeFailed(IsthmusError):
    """A segment raised while it ran."""


class ProtocolError(IsthmusError):
    """The segment stream was used against its rules."""


class LocalProtocolError(ProtocolError):
    """This side used the stream wrongly: a bug here."""


class RemoteProtocolError(ProtocolError):
    """The peer used the stream wrongly."""


# Most specific first: the first base that matches names the status.
_STATUS_NAMES: tuple[tuple[type[IsthmusError], str], ...] = (
    (InvalidPlan, "FAILED_PRECONDITION"),
    (InfeasibleCut, "FAILED_PRECONDITION"),
    (TooLarge, "RESOURCE_EXHAUSTED"),
    (InvalidInput, "INVALID_ARGUMENT"),
    (PlanAway, "UNAVAILABLE"),
    (NotFound, "NOT_FOUND"),
    (Unavailable, "UNAVAILABLE"),
    (Overloaded, "RESOURCE_EXHAUSTED"),
    (DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Cancelled, "CANCELLED"),
    (PermissionDenied, "PERMISSION_DENIED"),
    (Unsupported, "UNIMPLEMENTED"),
    (RemoteProtocolError, "INVALID_ARGUMENT"),
)


def grpc_status_name(error: BaseException) -> str:
    """The name of the gRPC status that tells a client about `error`: "INTERNAL" for what nobody planned."""
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED"  # whoever asked has left
    for kind, name in _STATUS_NAMES:
        if isinstance(error, kind):
            return name
    return "INTERNAL"


def error_words(error: BaseException) -> str:
    """What is kept of `error` for people: what nobody planned by its kind, too."""
    return str(error) if isinstance(error, IsthmusError) else f"{type(error).__name__}: {error}"


def shortened(text: str) -> str:
    """Without its middle where it is longer than MOST_TOLD_BYTES: an error begins with the field, which a client may
    have named, and ends in the remedy."""
    data = text.encode(errors="replace")
    if len(data) <= MOST_TOLD_BYTES:
        return text
    ends = data[: MOST_TOLD_BYTES // 2], data[-MOST_TOLD_BYTES // 2 :]
    return "…".join(end.decode(errors="ignore") for end in ends)


def error_from_status(name: str, message: str) -> IsthmusError:
    """The error that a status name and message from a peer stand for: the way back of `grpc_status_name`."""
    kinds: dict[str, type[IsthmusError]] = {
        "NOT_FOUND": NotFound,
        "UNAVAILABLE": Unavailable,
        "RESOURCE_EXHAUSTED": Overloaded,
        "DEADLINE_EXCEEDED": DeadlineExceeded,
        "CANCELLED": Cancelled,
        "PERMISSION_DENIED": PermissionDenied,
        "UNIMPLEMENTED": Unsupported,
        "INTERNAL": ComputeFailed,
    }
    if name == "INVALID_ARGUMENT":
        return InvalidRequest("request", message)
    if name == "FAILED_PRECONDITION":
        return InvalidPlan("plan", message)
    return kinds.get(name, IsthmusError)(message)
