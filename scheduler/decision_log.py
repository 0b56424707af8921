"""The last decisions: what was asked, what was believed, what was chosen, and what the others would have taken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.prediction import candidates
from scheduler.policies.reason import plan_name

__all__ = ["Alternative", "Decision", "DecisionLog"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A plan that could have been chosen, and what it was predicted to take, waits included."""

    plan_id: str
    name: str
    total_s: float


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice with all the facts it was made from. number: counts decisions from 1.

    policy: the name in force, of the configuration or of the request.
    """

    number: int
    policy: str
    request: ChoiceRequest
    link: Link | None
    choice: Choice

    def alternatives(self) -> tuple[Alternative, ...]:
        """Every plan of the form with its prediction, quickest first. Worked out when asked: predictions are pure, and
        a request should not pay for them twice."""
        ordered = sorted(candidates(self.request, self.link), key=lambda candidate: candidate.total_s)
        return tuple(Alternative(one.entry.plan.plan_id, plan_name(one.entry.plan), one.total_s) for one in ordered)


class DecisionLog:
    """A ring of the last `capacity` decisions."""

    def __init__(self, capacity: int = 256) -> None:
        self._decisions: deque[Decision] = deque(maxlen=capacity)
        self._count = 0

    def record(self, policy: str, request: ChoiceRequest, link: Link | None, choice: Choice) -> Decision:
        """Keep a decision; the oldest goes."""
        self._count += 1
        decision = Decision(self._count, policy, request, link, choice)
        self._decisions.append(decision)
        return decision

    @property
    def count(self) -> int:
        """How many were recorded, those included that are gone."""
        return self._count

    def last(self, n: int | None = None) -> tuple[Decision, ...]:
        """The last `n` decisions that are kept, oldest first; all of them without `n`."""
        kept = tuple(self._decisions)
        return kept if n is None else kept[len(kept) - min(n, len(kept)) :]
