"""Whom a request goes on with that a replica has not answered: another one, the same one again, or the edge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from isthmus.errors import (
    CloudUnavailable,
    ComputeFailed,
    IsthmusError,
    LocalProtocolError,
    Overloaded,
    RemoteProtocolError,
    TooLarge,
)
from isthmus.telemetry import get_logger
from nodes.accepted_request import AcceptedRequest
from nodes.guarded_connection import GuardedConnection
from nodes.model_runtime import plan_definition
from nodes.replica_state import standings_told
from nodes.resumption import Remote, soonest

__all__ = ["MOST_UNANSWERED", "Onward"]

MOST_UNANSWERED = 4
"""So often may a request be left without a word, by replicas that died or were late, before it asks none of them again:
it may be what they die of."""


class Onward:
    """Of one request. Each replica is asked once; by a request that stays with the cloud (`AcceptedRequest.stays`) also
    again, where it was late and spoke since, or was lost and is back, until MOST_UNANSWERED."""

    def __init__(self, accepted: AcceptedRequest, remote_s: Callable[[GuardedConnection], float]) -> None:
        """remote_s: until that replica would have answered, as predicted now."""
        self._accepted, self._around, self._remote_s = accepted, accepted.around, remote_s
        self._tried: list[GuardedConnection] = []
        self._said_no: list[GuardedConnection] = []
        self._forgetful: GuardedConnection | None = None
        self._forgot: list[GuardedConnection] = []
        self._refused: IsthmusError | None = None  # the last reason that a replica gave
        self._unanswered = Counter[str]()  # by replica

    def asks(self, replica: GuardedConnection) -> int:
        """That one is asked. How often it has left this request without a word."""
        self._tried.append(replica)
        return self._unanswered[replica.replica_id]

    def not_sent(self, replica: GuardedConnection, reason: str) -> None:
        """It could not be asked after all."""
        self._went_on(replica, reason)

    def late(self, replica: GuardedConnection) -> None:
        """It is not waited for any more."""
        self._refused = None
        self._unanswered[replica.replica_id] += 1
        self._went_on(replica, "no answer in time")

    def failed(self, asked: Collection[GuardedConnection], error: IsthmusError) -> None:
        """That is what came of asking them."""
        if not isinstance(error, LocalProtocolError):  # which is another request's probe that came first
            self._refused = error
            self._said_no += asked
        for replica in asked:
            self._unanswered[replica.replica_id] += isinstance(error, CloudUnavailable | RemoteProtocolError)
            self._went_on(replica, str(error))

    def forgot(self, replica: GuardedConnection) -> None:
        """It does not know the plan, and is offered it again."""
        self._forgetful = replica
        self._forgot.append(replica)
        # In the background: this request goes on, and the next one finds the plan prepared.
        replica.offer_soon(plan_definition(self._accepted.choice.entry.plan))

    def untried(self) -> tuple[GuardedConnection, ...]:
        """Those that could be asked now and were not yet."""
        return self._around.replicas.able(self._accepted.choice.entry.plan.wire_digest, self._tried)

    def others(self, asked: Collection[GuardedConnection] = ()) -> tuple[GuardedConnection, ...]:
        """Those that it may go on with now. asked: who is being asked."""
        if not self._stays:
            return self.untried()
        without = (*self._said_no, *asked)
        return self._around.replicas.able(self._accepted.choice.entry.plan.wire_digest, without)

    async def next(self) -> GuardedConnection | None:
        """The replica to go on with, None for the edge. A request that stays with the cloud waits for one.

        Raises DeadlineExceeded; without either Overloaded, ComputeFailed or TooLarge where a replica said so last, else
        CloudUnavailable.
        """
        self._accepted.check_time()
        edge_s = None if self._accepted.cloud_required else self._around.queue.wait_s() + self._accepted.finish_s
        chosen = self._soonest(edge_s)
        if chosen is None and edge_s is None:
            chosen = await self._relearned() or await self._waited_for()
        return chosen

    @property
    def _stays(self) -> bool:
        return self._accepted.stays and self._unanswered.total() < MOST_UNANSWERED

    def _soonest(self, edge_s: float | None) -> GuardedConnection | None:
        return soonest(edge_s, [Remote(replica, self._remote_s(replica)) for replica in self.others()])

    async def _relearned(self) -> GuardedConnection | None:
        """The replica that did not know the plan, once it does; asked again once. None without one, and where it was
        lost meanwhile. Raises CloudUnavailable where it cannot prepare it, or has forgotten it again."""
        forgetful, self._forgetful = self._forgetful, None
        if forgetful is None:
            return None
        if self._forgot.count(forgetful) > 1:
            raise self._unavailable()
        try:
            await forgetful.offer_again(plan_definition(self._accepted.choice.entry.plan))
        except IsthmusError as error:
            self._went_on(forgetful, str(error))
            if forgetful.connected:
                raise self._unavailable() from error
            return None
        return forgetful

    async def _waited_for(self) -> GuardedConnection:
        """The first that it may go on with, where that is worth waiting for. Raises as `next`."""
        if isinstance(self._refused, Overloaded | ComputeFailed | TooLarge):
            raise self._refused  # somebody answers: that it cannot be done there, or not now
        if self._stays:
            found = await self._around.replicas.until(lambda: self._soonest(None), self._accepted.due_s)
            if found is not None:
                return found
        raise self._unavailable()

    def _unavailable(self) -> CloudUnavailable:
        # The last reason names addresses, which are the operator's: it stands in the edge's log.
        model, standings = self._accepted.request.model, standings_told(self._around.replicas.states())
        return CloudUnavailable(f"model {model!r} needs the cloud, and no replica answers ({standings}); try again")

    def _went_on(self, replica: GuardedConnection, reason: str) -> None:
        plan_id = self._accepted.choice.entry.plan.plan_id
        get_logger("edge").warning("resuming from the cut", plan_id=plan_id, reason=reason, replica=replica.replica_id)
