"""The last decisions: what was asked, what was believed, what was chosen, and what the others would have taken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.forecast import forecast
from scheduler.policies.reason import plan_name

__all__ = ["Alternative", "Decision", "DecisionLog"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A plan that could have been chosen, and what it was predicted to take, waits included."""

    plan_id: str
    name: str
    total_s: float


class Decision(NamedTuple):  # made for every request
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
        found = forecast(self.request, self.link)
        ordered = sorted(zip(found.total_s, range(len(found.entries)), strict=True))
        plans = [(found.entries[number].plan, total_s) for total_s, number in ordered]
        return tuple(Alternative(plan.plan_id, plan_name(plan), total_s) for plan, total_s in plans)


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
