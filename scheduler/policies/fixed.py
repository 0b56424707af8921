"""Always the same plan, or the quickest of one kind: for operators, measurements and requests that force a plan."""

from __future__ import annotations

from random import Random
from typing import get_args

from pydantic import Field

from isthmus.errors import CloudUnavailable, NotFound
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.plan import PlanKind
from scheduler.policies.forecast import Forecast, forecast
from scheduler.policies.options import PolicyOptions
from scheduler.policies.selection import draw_least

__all__ = ["FixedOptions", "FixedPolicy"]

_KINDS: tuple[str, ...] = get_args(PlanKind)


class FixedOptions(PolicyOptions):
    """Which plan."""

    plan: str = Field(min_length=1, description="a plan id, or a kind: edge-only, cloud-only, split")


class FixedPolicy:
    """Always one plan, or the quickest of one kind of cut; also written `fixed:PLAN`.

    A plan named by its id is run although it is predicted to miss the deadline: whoever forces it wants to see it.
    """

    Options = FixedOptions

    def __init__(self, options: FixedOptions) -> None:
        self._plan = options.plan

    @classmethod
    def of(cls, plan: str) -> FixedPolicy:
        """plan: an id, or a kind of cut ("edge-only", "cloud-only", "split"), of which the quickest is taken."""
        return cls(FixedOptions(plan=plan))

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy. Raises NotFound when the model has no such plan for this form of input, CloudUnavailable when it
        may have one once a replica is there."""
        found = forecast(request, link)
        of_kind = self._plan in _KINDS
        number = found.amounts.index.get(self._plan)
        meant = found.numbers(self._plan) if of_kind else [] if number is None else [number]
        if not meant:
            if of_kind and self._plan != "edge-only" and not request.cloud_reachable:
                raise CloudUnavailable(
                    f"model {request.table.model!r}: a {self._plan} plan needs the cloud, and no replica is reachable"
                )
            raise NotFound(self._not_there(found))
        fit = found.reachable(meant)
        chosen = draw_least(found.in_time(fit) if of_kind else fit, found.total_s, rng)
        return found.choice(chosen, "fixed, ")

    def may_cross(self, request: ChoiceRequest) -> bool:
        """See Policy. A plan that is not on offer may be one that needs the cloud."""
        if self._plan in _KINDS:
            return self._plan != "edge-only"
        meant = (one.plan for one in request.table.for_form(request.form) if one.plan.plan_id == self._plan)
        return all(plan.kind != "edge-only" for plan in meant)

    def _not_there(self, found: Forecast) -> str:
        there, request = ", ".join(sorted({entry.plan.kind for entry in found.entries})), found.request
        return (
            f"plan {self._plan!r}: model {request.table.model!r} has none such for input in the {request.form!r} form;"
            f" it has {len(found.entries)} plans, of kind {there}"
        )
