"""What a node asks of whoever admits requests: the `Admission` Protocol, and what goes in and out of it.

The node defines the question; the scheduler answers it. Moments are readings of the caller's monotonic clock, handed
in: an admission has no clock of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from isthmus.errors import DeadlineUnreachable

__all__ = [
    "DEFAULT_PROBABILITY",
    "LEAST_DEPTH",
    "Admission",
    "AdmissionCounts",
    "Arrived",
    "Arriving",
    "EdgeWork",
    "Outlook",
    "because_of_others",
    "depth_of",
    "sooner_s",
]

DEFAULT_PROBABILITY = 0.9
"""Of ending in time, that a request must have while others are under way."""

LEAST_DEPTH = 4
"""So many requests may be on a device's compute or before it, and twice as many as run as one: it is never idle while
others wait, and who comes later waits for few."""


def depth_of(max_batch: int) -> int:
    """Of a device whose batches have up to so many items."""
    return max(LEAST_DEPTH, 2 * max_batch)


def sooner_s(one_s: float | None, other_s: float | None) -> float | None:
    """Of two timeouts or deadlines the one that counts; None for none."""
    return min((given_s for given_s in (one_s, other_s) if given_s is not None), default=None)


def because_of_others(error: Exception) -> bool:
    """Whether a request that was refused like that would end in time if nobody else was under way."""
    return isinstance(error, DeadlineUnreachable) and error.retry_after_s is not None


@dataclass(frozen=True, slots=True)
class Arriving:
    """A request that asks to be let in.

    client: whose it is; clients share what there is. priority: 1 first, 0 last. deadline_s: a moment, None without one.
    cost_s: what the edge would take to compute all of it, as measured. model: by name. forced: the request names its
    plan, which is run whatever is predicted.
    """

    client: str
    priority: int
    deadline_s: float | None
    cost_s: float
    model: str = ""
    forced: bool = False


class Arrived(NamedTuple):
    """A request that was let in, by its number. shed: the one that had to go for it, None where there was room."""

    number: int
    shed: int | None = None


class Outlook(NamedTuple):  # made at each request
    """How a request stands whose turn it is.

    spare_s: edge seconds that it may take, so that it and all that were let in before it end by their deadlines even if
    the cloud falls silent, and that who has more right finds room; None without a deadline. sureness: the probability
    of ending in time that is asked for. idle: nothing else is here, so that what is less likely costs nobody else.
    """

    spare_s: float | None
    sureness: float
    idle: bool = False


class EdgeWork(NamedTuple):  # made for each request
    """What a request's plan may ask of the edge. due_s: the moment by which the edge would have to be done, None
    without a deadline. prefix_s: until its boundary is made. finish_s: besides, where the cloud does not answer; 0
    where that is not promised. promised: whether the edge has the time for all of it."""

    due_s: float | None
    prefix_s: float
    finish_s: float
    promised: bool = False


@dataclass(frozen=True, slots=True)
class AdmissionCounts:
    """At one moment. waiting: for their turn. running: whose turn it was, without an answer yet. wait_s: until all that
    wait will have had their turns, at the pace of late."""

    waiting: int
    running: int
    wait_s: float = 0.0


class Admission(Protocol):
    """Lets requests in and says whose turn it is. Each that arrives ends once: refused at its arrival, shed for another
    one, or `ended` by the node. Used from one event loop; some microseconds a call."""

    def arrive(self, arriving: Arriving, now_s: float) -> Arrived:
        """A request came. Whoever is shed for it is forgotten here: the node refuses it, with `shed_error`.

        Raises Shed where there is no room and no waiting request is of less value, DeadlineUnreachable where its
        deadline is over before its turn comes.
        """
        ...

    def shed_error(self, now_s: float) -> Exception:
        """What a request is told that was shed for another one: when to try again."""
        ...

    def start(self, now_s: float) -> Sequence[int]:
        """Whose turn it is now, in order. To be asked after every other call."""
        ...

    def outlook(self, number: int, due_s: float | None, now_s: float, *, idle: bool) -> Outlook:
        """How one stands whose turn it is. due_s: see EdgeWork. idle: nothing to wait for was found anywhere. Whether
        others are here the admission knows: one that takes longer than is believed is no wait, and under way."""
        ...

    def steps_aside(self, number: int, now_s: float) -> bool:
        """One whose turn it is waits for a replica that may come, and asks nothing of the edge until it is `placed`, or
        any more. Whether it may: only so many do. That it may once, it may until then."""
        ...

    def placed(self, number: int, work: EdgeWork, now_s: float) -> None:
        """A plan was chosen for one whose turn it is."""
        ...

    def crowded_out(self, number: int, now_s: float) -> None:
        """No plan ends one in time whose turn it is, because of others: it is to be `ended`. Where it has more right to
        the edge than some of them, such requests leave room for its client from now on."""
        ...

    def prefix_ended(self, number: int, now_s: float) -> None:
        """The edge has done its part of it: what is left is up to the cloud."""
        ...

    def finishes(self, number: int, work: EdgeWork, now_s: float) -> bool:
        """The edge finishes it, as the cloud does not answer. work: what is left, by when. False where that would break
        what others were promised: then all that is due goes before it."""
        ...

    def ended(self, number: int, now_s: float) -> None:
        """It was answered, failed or was taken back, whether it waited or not. Nothing to do for one not known."""
        ...

    @property
    def counts(self) -> AdmissionCounts:
        """How many wait and run."""
        ...
