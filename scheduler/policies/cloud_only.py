"""Always the cloud."""

from __future__ import annotations

from scheduler.policies.fixed import FixedPolicy

__all__ = ["CloudOnlyPolicy"]


class CloudOnlyPolicy(FixedPolicy):
    """The whole model in the cloud, by the quickest way to send the input: the tensor, a re-encoding, or the file as it
    came. Raises CloudUnavailable while no replica is reachable."""

    def __init__(self) -> None:
        super().__init__("cloud-only")
