"""Always the same plan, or the quickest of one kind: for operators, measurements and requests that force a plan."""

from __future__ import annotations

from random import Random
from typing import get_args

from isthmus.errors import NotFound
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.plan import PlanKind
from scheduler.policies.latency import quickest
from scheduler.policies.prediction import Candidate, candidates, in_time, reachable
from scheduler.policies.reason import reason_line

__all__ = ["FixedPolicy"]

_KINDS: tuple[str, ...] = get_args(PlanKind)


class FixedPolicy:
    """`plan` is a plan id, or a kind of cut ("edge-only", "cloud-only", "split"), of which the quickest is taken.

    A plan named by its id is run although it is predicted to miss the deadline: whoever forces it wants to see it.
    """

    def __init__(self, plan: str) -> None:
        self._plan = plan

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy. Raises NotFound when the model has no such plan for this form of input."""
        everything = candidates(request, link)
        if self._plan in _KINDS:
            meant = [candidate for candidate in everything if candidate.entry.plan.kind == self._plan]
            fit = in_time(request, reachable(request, meant)) if meant else ()
        else:
            meant = [candidate for candidate in everything if candidate.entry.plan.plan_id == self._plan]
            fit = reachable(request, meant) if meant else ()
        if not fit:
            raise NotFound(self._not_there(request, everything))
        chosen = quickest(fit, rng)
        return Choice(chosen.entry, chosen.predicted, "fixed, " + reason_line(request, link, chosen, everything))

    def _not_there(self, request: ChoiceRequest, everything: tuple[Candidate, ...]) -> str:
        there = ", ".join(sorted({candidate.entry.plan.kind for candidate in everything}))
        return (
            f"plan {self._plan!r}: model {request.table.model!r} has none such for input in the {request.form!r} form;"
            f" it has {len(everything)} plans, of kind {there}"
        )
