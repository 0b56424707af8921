"""How a replica stands with an edge, in a word, and what is under way to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nodes.fleet import Replica
from nodes.guarded_connection import GuardedConnection

__all__ = ["ReplicaState", "Standing", "replica_state", "standing", "standings_told"]

Standing = Literal["ready", "on trial", "set aside", "connecting", "draining"]

_TOLD = 4


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """One replica that the registry names.

    standing: "ready" takes requests; "on trial" takes one at a time, after failures; "set aside" takes none, because it
    failed or left a request unanswered; "connecting" is not prepared (yet); "draining" takes nothing new.
    cloud_queue_s, heard_s: None without a connection; heard_s is when it last said anything, on the monotonic clock.
    plans: that it has prepared.
    """

    replica_id: str
    target: str
    models: tuple[str, ...]
    emulated_link: str
    standing: Standing
    cloud_queue_s: float | None = None
    heard_s: float | None = None
    in_flight: int = 0
    in_flight_bytes: int = 0
    plans: int = 0


def replica_state(replica: Replica, connection: GuardedConnection | None) -> ReplicaState:
    """connection: to it, None while there is none that was prepared."""
    endpoint, models = replica.endpoint, tuple(model.name for model in replica.models)
    about = (replica.replica_id, endpoint.target, models, endpoint.emulated_link)
    if connection is None:
        return ReplicaState(*about, "draining" if replica.draining else "connecting")
    return ReplicaState(
        *about,
        "draining" if replica.draining else standing(connection),
        connection.cloud_queue_s,
        connection.heard_s,
        connection.in_flight,
        connection.in_flight_bytes,
        len(connection.prepared),
    )


def standing(connection: GuardedConnection) -> Standing:
    """Of a replica that is not known to drain."""
    if connection.healthy:
        return "ready"
    return "on trial" if connection.open else "set aside"


def standings_told(states: Sequence[ReplicaState]) -> str:
    """For people: each of the first few by its id, and how many more there are."""
    if not states:
        return "no replica in the fleet view"
    more = f" and {len(states) - _TOLD} more" if len(states) > _TOLD else ""
    return ", ".join(f"{state.replica_id} {state.standing}" for state in states[:_TOLD]) + more
