"""The last decisions and refusals: what was asked, what was believed, what was chosen, and what became of it."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from isthmus.errors import NotFound
from nodes.chooser import Choice, ChoiceRequest, Outcome, Refused
from nodes.steering import PolicySetting
from partitioner.link import Link
from partitioner.plan import Prediction
from scheduler.policies.forecast import forecast
from scheduler.policies.reason import plan_name

__all__ = ["Alternative", "Decision", "DecisionLog", "Declined", "Kept", "ShadowChoice", "alternatives"]

DEFAULT_CAPACITY = 1024


@dataclass(frozen=True, slots=True)
class Alternative:
    """A plan that could have been chosen, and what it was predicted to take, waits included."""

    plan_id: str
    name: str
    predicted: Prediction

    @property
    def total_s(self) -> float:
        """Seconds from the decision to the answer."""
        return self.predicted.total_s


@dataclass(frozen=True, slots=True)
class ShadowChoice:
    """What a policy that nobody acts on would have done. choice: None where it raised, `failure` says what."""

    policy: PolicySetting
    choice: Choice | None
    failure: str = ""


class Decision(NamedTuple):  # made for every request
    """One choice with all the facts it was made from.

    number: counts decisions from 1, and with `seed` gives the policy's randomness. policy: the one that decided, and
    because: who asked for it. choice: the policy's. explored: what was done instead, to learn the link; None for
    nothing.
    """

    number: int
    seed: int
    policy: PolicySetting
    because: str
    request: ChoiceRequest
    link: Link | None
    choice: Choice
    explored: Choice | None = None
    shadow: ShadowChoice | None = None

    @property
    def acted(self) -> Choice:
        """What was done."""
        return self.explored or self.choice

    def alternatives(self) -> tuple[Alternative, ...]:
        """Every plan of the form with its prediction, quickest first. Worked out when asked: predictions are pure, and
        a request should not pay for them twice."""
        return alternatives(self.request, self.link)


class Declined(NamedTuple):
    """A request for which the policy that was asked named no plan, with all that it was asked with: see Decision.

    failure: why, in words.
    """

    number: int
    seed: int
    policy: PolicySetting
    because: str
    request: ChoiceRequest
    link: Link | None
    failure: str

    def alternatives(self) -> tuple[Alternative, ...]:
        """See Decision; none where there is no plan for what was sent."""
        return alternatives(self.request, self.link)


Kept = Decision | Declined | Refused
"""What is known of a request: a Refused ended before any policy was asked."""


class DecisionLog:
    """A ring of the last `capacity` decisions and of what became of them, and one of as many refusals: an edge that
    refuses most of what comes does not forget what it answers."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._decisions: deque[Decision] = deque()
        self._by_id: dict[str, Decision] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._refused: dict[str, Declined | Refused] = {}
        self._newest: Kept | None = None
        self._count = self._ended = 0

    def record(self, decision: Decision) -> None:
        """Keep a decision; the oldest goes."""
        self._newest = decision
        self._count += 1
        self._decisions.append(decision)
        if decision.request.request_id:
            self._by_id[decision.request.request_id] = decision
        if len(self._decisions) > self._capacity:
            gone = self._decisions.popleft().request.request_id
            self._by_id.pop(gone, None)
            self._outcomes.pop(gone, None)

    def record_declined(self, declined: Declined) -> None:
        """Keep what the policy in force was asked and refused; the oldest refusal goes."""
        self._keep_refusal(declined.request.request_id, declined)

    def record_refused(self, refused: Refused) -> None:
        """Keep that a request came and went. Nothing new of one that a policy declined."""
        if not isinstance(self._refused.get(refused.request_id), Declined):
            self._keep_refusal(refused.request_id, refused)

    def _keep_refusal(self, request_id: str, refusal: Declined | Refused) -> None:
        self._newest = refusal
        self._refused.pop(request_id, None)  # the last one goes last
        self._refused[request_id] = refusal
        if len(self._refused) > self._capacity:
            del self._refused[next(iter(self._refused))]

    def record_outcome(self, outcome: Outcome) -> None:
        """Keep what became of a request, as long as its decision is kept."""
        if outcome.request_id in self._by_id:
            self._outcomes[outcome.request_id] = outcome
            self._ended += 1

    @property
    def count(self) -> int:
        """How many were recorded, those included that are gone."""
        return self._count

    def last(self, n: int | None = None) -> tuple[Decision, ...]:
        """The last `n` decisions that are kept, oldest first; all of them without `n`."""
        kept = tuple(self._decisions)
        return kept if n is None else kept[len(kept) - min(n, len(kept)) :]

    @property
    def ended_count(self) -> int:
        """How many outcomes were recorded, those included that are gone."""
        return self._ended

    def ended(self, most: int) -> tuple[tuple[Decision, Outcome], ...]:
        """The `most` requests that ended last and are kept, oldest first."""
        newest = itertools.islice(reversed(self._outcomes.values()), max(0, most))
        return tuple((self._by_id[outcome.request_id], outcome) for outcome in newest)[::-1]

    def find(self, request_id: str) -> tuple[Kept, Outcome | None]:
        """A request's decision or refusal, and its outcome once there is one; the newest for "".

        Raises NotFound for a request that is not known, or no longer.
        """
        found = (self._by_id.get(request_id) or self._refused.get(request_id)) if request_id else self._newest
        if found is None and not request_id:
            raise NotFound("request: none was decided here yet; send one first")
        if found is None:
            kept = f"{self._count} were decided, the last {self._capacity} are kept, and as many refusals"
            remedy = "`isthmus explain --log FOLDER` reads the files of a decision log"
            raise NotFound(f"request {request_id!r} is not known here, or no longer ({kept}); {remedy}")
        return found, self._outcomes.get(found.request.request_id) if isinstance(found, Decision) else None


def alternatives(request: ChoiceRequest, link: Link | None) -> tuple[Alternative, ...]:
    """Every plan of the request's form with its prediction, quickest first; none where there is no such plan."""
    try:
        found = forecast(request, link)
    except NotFound:
        return ()
    ordered = sorted(zip(found.total_s, range(len(found.entries)), strict=True))
    plans = [(found.entries[number].plan, found.predicted(number)) for _, number in ordered]
    return tuple(Alternative(plan.plan_id, plan_name(plan), predicted) for plan, predicted in plans)
