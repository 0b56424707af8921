"""A request at its turn that waits for a replica, before a plan is chosen for it."""

from __future__ import annotations

from collections.abc import Callable

from isthmus.errors import TooLarge
from nodes.accepted_request import Surroundings
from nodes.guarded_connection import GuardedConnection
from nodes.onward import REPLICA_WAIT_S
from nodes.turn import Turn

__all__ = ["awaited_replica"]


async def awaited_replica(
    around: Surroundings, pick: Callable[[], GuardedConnection | None], turn: Turn, inputs_bytes: int
) -> GuardedConnection | None:
    """A replica for what needs one: those that there are take no request now, which may be over soon. None where it
    is not in time, none is left in the view, too many wait so, or it is too large to wait.

    inputs_bytes: what it keeps while it waits, which counts as boundary tensors do: it may wait for as long as they.
    Raises Overloaded.
    """
    if not turn.admitted.steps_aside():
        return None

    def look() -> tuple[GuardedConnection | None] | None:
        picked = pick()
        return (picked,) if picked is not None or not around.replicas.seen else None

    try:
        around.kept.reserve(inputs_bytes, retry_after_s=REPLICA_WAIT_S)
    except TooLarge:  # to wait with, not to be answered: it is served whenever a replica takes it at once
        return None
    try:
        found = await around.replicas.until(look, turn.began_s + REPLICA_WAIT_S if turn.due_s is None else turn.due_s)
    finally:
        around.kept.release(inputs_bytes)
    return None if found is None else found[0]
