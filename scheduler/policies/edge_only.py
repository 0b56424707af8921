"""Never the cloud."""

from __future__ import annotations

from random import Random

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.fixed import FixedPolicy

__all__ = ["EdgeOnlyPolicy"]


class EdgeOnlyPolicy:
    """The whole model on the edge, always.

    Raises NotFound for a model that the edge may not or cannot run alone.
    """

    def __init__(self) -> None:
        self._fixed = FixedPolicy.of("edge-only")

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        return self._fixed.choose(request, link, rng)

    def may_cross(self, request: ChoiceRequest) -> bool:
        """See Policy."""
        return self._fixed.may_cross(request)
