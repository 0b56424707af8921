"""How a request goes on whose replica does not answer: what there is, and which is predicted sooner. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Generic, TypeVar

from partitioner.link import Link
from partitioner.plan import Prediction

__all__ = [
    "FINISH_MARGIN",
    "WORK_MARGIN",
    "Remote",
    "ResumeCounts",
    "deadline_slack_s",
    "due_after_s",
    "expected_s",
    "patience_s",
    "remote_s",
    "soonest",
    "waits_until_s",
]

# How long past its prediction a cloud answer may be before the request goes on elsewhere: generous enough that a slow
# link is not mistaken for a dead replica, short enough that a client with an ordinary timeout still gets its answer.
PATIENCE_FACTOR = 4.0
PATIENCE_S = 1.0
# The edge's own suffix is predicted from quiet runs: beside other work it takes longer.
FINISH_MARGIN = 1.2
# Work that was promised is predicted from its mean on this very machine: most of it takes less than this factor of it.
WORK_MARGIN = 1.1
# The answer has to reach the client too, and the event loop may be late: so long before its deadline it shall be made.
ANSWER_SHARE, ANSWER_S = 0.1, 0.05
_SLACK_S, _SLACK_SHARE = 0.02, 0.02
# Of two ways the edge is taken unless the other is sooner by more than what predictions err: it cannot be lost again.
EDGE_ADVANTAGE = 1.1

Replica = TypeVar("Replica")


@dataclass(slots=True)
class ResumeCounts:
    """How requests that needed the cloud ended, and what it took.

    answered: by the replica that was asked first. resent: sent again, to another replica or after a plan was offered
    anew. hedged: sent to a second replica although the first had not failed; hedges_won: and answered by it.
    resumed_on_edge: finished here from the kept tensors. late_answers: came after the request had gone on elsewhere,
    and were discarded.
    """

    answered: int = 0
    resent: int = 0
    hedged: int = 0
    hedges_won: int = 0
    resumed_on_edge: int = 0
    late_answers: int = 0

    def to_dict(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Remote(Generic[Replica]):
    """A replica that could finish the request, and when it is predicted to have answered, in seconds from now."""

    replica: Replica = field(compare=False)
    predicted_s: float


def soonest(edge_s: float | None, remotes: Sequence[Remote[Replica]]) -> Replica | None:
    """The replica to send the tensors to; None for the edge, or where there is nothing.

    edge_s: until the edge would have finished; None where it must not or cannot.
    """
    best = min(remotes, key=lambda remote: remote.predicted_s, default=None)
    if best is None or (edge_s is not None and edge_s <= best.predicted_s * EDGE_ADVANTAGE):
        return None
    return best.replica


def remote_s(link: Link | None, waiting_bytes: int, down_bytes: int, cloud_s: float) -> float:
    """Seconds until a replica has answered. waiting_bytes: the request's own and those of others before it on the
    link. cloud_s: wait and work there. Infinite while the link is unknown: nobody can say that it is sooner."""
    if link is None:
        return math.inf
    return link.uplink_s(waiting_bytes) + link.rtt_s + cloud_s + link.downlink_s(down_bytes)


def expected_s(
    predicted: Prediction, link: Link | None, crossing_s: float, up_bytes: int, down_bytes: int, cloud_s: float
) -> float:
    """Seconds from when a request is sent until its answer is there, which says how long to wait for it.

    predicted: as the plan was chosen; of it counts what follows the sending alone, as the edge's part is over by then.
    crossing_s: until the bytes before its own have crossed. That something is overdue is no part of it: the wait that
    is feared for that decides between plans, and a silent replica would be waited for the longer the longer it is
    silent. cloud_s: wait and work there by the costs and what waits now; the chooser may know it to take longer.
    """
    if link is None:
        return predicted.uplink_s + predicted.cloud_s + predicted.downlink_s
    return crossing_s + remote_s(link, up_bytes, down_bytes, max(cloud_s, predicted.cloud_s))


def deadline_slack_s(timeout_s: float) -> float:
    """How long before a request's deadline its client may end it for that same deadline: gRPC rounds what is left of it
    up, by a hundredth at most, and the client's count began before its message was here."""
    return max(_SLACK_S, _SLACK_SHARE * timeout_s)


def due_after_s(timeout_s: float) -> float:
    """In how many seconds the edge shall have made an answer that is due in `timeout_s`."""
    return timeout_s - min(ANSWER_S, ANSWER_SHARE * timeout_s)


def waits_until_s(now_s: float, deadline_s: float, due_s: float, finish_s: float, margin: float) -> float:
    """Until when to wait for others, so that the edge can still make by `due_s` what takes it `finish_s`, give or take
    `margin`. Until the deadline where the edge would be too late anyhow: then the cloud is what chance there is."""
    return deadline_s if now_s + finish_s > deadline_s else due_s - margin * finish_s


def patience_s(predicted_s: float) -> float:
    """How long to wait for an answer that is predicted to take so long."""
    return max(PATIENCE_FACTOR * predicted_s, predicted_s + PATIENCE_S)
