"""The contract of a policy: one question, one answer, no side effects."""

from __future__ import annotations

from random import Random
from typing import Protocol, runtime_checkable

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link

__all__ = ["Policy"]


@runtime_checkable
class Policy(Protocol):
    """Chooses a plan for one request.

    A policy is pure: it has no clock, does no I/O and keeps nothing between calls, so that the same request, link and
    state of `rng` give the same choice: live, in the simulator, and when a logged decision is replayed. All randomness
    comes from `rng`. It is called for every request on the event loop, so it must stay within microseconds:
    `scheduler.policies.forecast` predicts all plans at once.

    One's own (docs/policies.md): a class that has this method, named as `module:Class` or registered as an entry point
    in the group `isthmus.policies`. Four attributes are looked at where they are there: `Options` of the class, a
    pydantic model, makes what the configuration says beside the name the class's only argument (without it the class is
    made without arguments and takes no options); `explores = True` lets some requests cross only to learn the link;
    `may_cross(request)` says false of a request that stays on the edge whatever the cloud has, and `timeout_s` is a
    deadline that every request gets, in seconds (see `Chooser` for both).
    The first line of the docstring is what `isthmus policy list` says.
    """

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """A plan out of `request.table.for_form(request.form)`, its prediction, and the reason in one line.

        link: as now believed; None before it was measured. A plan that needs the cloud must not be chosen while
        `request.cloud_reachable` is false.
        Raises NotFound when the table has no plan of the kind asked for, CloudUnavailable when only the cloud could
        answer and is not reachable, DeadlineUnreachable when no plan ends within
        `request.remaining_s` as surely as it has to.
        """
        ...
