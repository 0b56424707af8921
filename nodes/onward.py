"""Whom a request goes on with that a replica has not answered: another one, the same one again, or the edge."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial

from isthmus.errors import (
    CloudUnavailable,
    ComputeFailed,
    InvalidInput,
    IsthmusError,
    LocalProtocolError,
    Overloaded,
    RemoteProtocolError,
)
from isthmus.telemetry import get_logger
from nodes.accepted_request import AcceptedRequest
from nodes.guarded_connection import GuardedConnection
from nodes.model_runtime import plan_definition
from nodes.refusals import Refusals
from nodes.replica_state import standings_told
from nodes.resumption import Remote, soonest

__all__ = ["MOST_UNANSWERED", "REPLICA_WAIT_S", "Onward"]

REPLICA_WAIT_S = 2.0
"""So long a request without a deadline that needs the cloud waits, at its turn and before anybody was sent it, where
replicas are there but take none: longer than the first waits of a breaker and of a reconnect, and short enough for who
asks to be told."""

MOST_UNANSWERED = 4
"""So often may a request be left without a word, by replicas that died or were late, before it asks none of them again:
it may be what they die of."""

_TOLD = (Overloaded, ComputeFailed, InvalidInput)
"""What a replica says of a request is the client's answer where nobody else can be asked."""


class Onward:
    """Of one request. Each replica is asked once; by a request that stays with the cloud (`AcceptedRequest.stays`) also
    again, where it was late and spoke since, or was lost and is back, until MOST_UNANSWERED; and where it could not
    take the request just then, see `Refusals`."""

    def __init__(self, accepted: AcceptedRequest, remote_s: Callable[[GuardedConnection], float]) -> None:
        """remote_s: until that replica would have answered, as predicted now."""
        self._accepted, self._around, self._remote_s = accepted, accepted.around, remote_s
        self._tried: list[GuardedConnection] = []
        self._refusals = Refusals[GuardedConnection]()
        self._forgetful: GuardedConnection | None = None
        self._forgot: list[GuardedConnection] = []
        self._refused: IsthmusError | None = None  # the last reason that a replica gave
        self._unanswered = Counter[str]()  # by replica
        self.no_place = False  # was left among those that stay
        self._first_s: float | None = None  # until when it waits for the first replica that takes it

    def asks(self, replica: GuardedConnection) -> int:
        """That one is asked. How often it has left this request without a word."""
        self._tried.append(replica)
        return self._unanswered[replica.replica_id]

    def not_sent(self, replica: GuardedConnection, reason: str) -> None:
        """It could not be asked after all: it is gone, or lets one request through, and another one came first."""
        self._tried.remove(replica)
        self._went_on(replica, reason)

    def late(self, replica: GuardedConnection) -> None:
        """It is not waited for any more."""
        self._refused = None
        self._unanswered[replica.replica_id] += 1
        self._went_on(replica, "no answer in time")

    def failed(self, replica: GuardedConnection, error: IsthmusError) -> None:
        """That is what came of asking it."""
        early = isinstance(error, LocalProtocolError)  # another request's probe came first
        if not early:
            self._refused = error
        if early and not replica.open:
            self._tried.remove(replica)
        self._refusals.refused(replica, error, time.monotonic())
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
        return self._around.replicas.able(self._digest, self._tried)

    def others(self, asked: Collection[GuardedConnection] = ()) -> tuple[GuardedConnection, ...]:
        """Those that it may go on with now. asked: who is being asked."""
        if not self._stays:
            return self.untried()
        without = (*self._refusals.out(time.monotonic()), *self._offered(), *asked)
        return self._around.replicas.able(self._digest, without)

    def looks_s(self) -> float:
        """When time alone may have it find another one: a replica may be tried or asked again."""
        return min(self._around.replicas.trial_s, self._refusals.back_s(time.monotonic()))

    def takes_place(self) -> bool:
        """Take a place among those that stay, where it has none; whether it may stay. Once it may not, it ends as one
        that has no deadline."""
        admitted = self._accepted.admitted
        if not self.no_place and admitted is not None:
            self.no_place = not admitted.steps_aside()
        return not self.no_place

    async def next(self) -> GuardedConnection | None:
        """The replica to go on with, None for the edge. A request that stays with the cloud waits for one.

        Raises DeadlineExceeded; without either Overloaded, ComputeFailed or InvalidInput where a replica said so last,
        else CloudUnavailable.
        """
        self._accepted.check_time()
        edge_s = None if self._accepted.cloud_required else self._around.queue.wait_s() + self._accepted.finish_s
        chosen = self._soonest(edge_s)
        if chosen is None and edge_s is None:
            chosen = await self._waited_for()
        return chosen

    @property
    def _digest(self) -> str:
        return self._accepted.choice.entry.plan.wire_digest

    @property
    def _stays(self) -> bool:
        return self._accepted.stays and not self.no_place and self._unanswered.total() < MOST_UNANSWERED

    def _offered(self) -> list[GuardedConnection]:
        """Those that did not know the plan and are being offered it."""
        return [replica for replica in self._forgot if replica.offers(self._digest)]

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
        told = self._refused if isinstance(self._refused, _TOLD) else None
        if self._stays and told is not None and not self._offered():
            raise told  # somebody answers: that it cannot be done there, or not now
        if self._stays and self.takes_place():
            find = partial(self._soonest, None)
            found = await self._around.replicas.until(find, self._accepted.due_s, self.looks_s)
        elif not self._tried and self.takes_place():  # nobody was sent it yet
            self._first_s = self._first_s or time.monotonic() + REPLICA_WAIT_S
            found = await self._around.replicas.until(partial(self._soonest, None), self._first_s)
        else:
            found = await self._relearned()
            if found is None and told is not None:
                raise told
        if found is None:
            raise self._unavailable()
        return found

    def _unavailable(self) -> CloudUnavailable:
        # The last reason names addresses, which are the operator's: it stands in the edge's log.
        model, standings = self._accepted.request.model, standings_told(self._around.replicas.states())
        return CloudUnavailable(f"model {model!r} needs the cloud, and no replica answers ({standings}); try again")

    def _went_on(self, replica: GuardedConnection, reason: str) -> None:
        plan_id = self._accepted.choice.entry.plan.plan_id
        get_logger("edge").warning("resuming from the cut", plan_id=plan_id, reason=reason, replica=replica.replica_id)
