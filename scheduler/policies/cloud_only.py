"""Always the cloud."""

from __future__ import annotations

from random import Random

from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.fixed import FixedPolicy

__all__ = ["CloudOnlyPolicy"]


class CloudOnlyPolicy:
    """The whole model in the cloud, by the quickest way to send the input.

    That is the tensor, a re-encoding, or the file as it came. Raises CloudUnavailable while no replica is reachable.
    """

    def __init__(self) -> None:
        self._fixed = FixedPolicy.of("cloud-only")

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        return self._fixed.choose(request, link, rng)
