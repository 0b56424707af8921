"""Never the cloud."""

from __future__ import annotations

from scheduler.policies.fixed import FixedPolicy

__all__ = ["EdgeOnlyPolicy"]


class EdgeOnlyPolicy(FixedPolicy):
    """The whole model on the edge. Raises NotFound for a model that the edge may not or cannot run alone."""

    def __init__(self) -> None:
        super().__init__("edge-only")
