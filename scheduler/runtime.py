"""What hosts nodes: the contract that the Ray runtime and the process runtime both keep."""

from __future__ import annotations

from typing import Protocol

from nodes.configured_policies import ConfiguredPolicies
from nodes.settings import CloudSettings, EdgeSettings

__all__ = ["Runtime"]


class Runtime(Protocol):
    """Starts nodes, keeps replicas alive, drains them. The two sides may be started at the same time."""

    async def start(self) -> None:
        """Start what nodes will run in, so that this takes no time later. Starting a node does it where nobody did."""

    async def start_cloud(self, settings: CloudSettings, replicas: int) -> None:
        """Start the replicas and return when all serve. Raises what a node raises, DeviceUnavailable included."""

    async def start_edge(self, settings: EdgeSettings) -> str:
        """Start the edge and return the address of its gateway."""

    async def wait_until_planned(self, timeout_s: float) -> bool:
        """Wait for the edge to offer plans that use the cloud. False when it takes longer."""

    async def configure(self, policies: ConfiguredPolicies) -> None:
        """These policies on the edge that was started, from its next request on, as a whole.

        Raises what the edge refuses them with, Unavailable for an edge that does not answer.
        """

    async def stop(self) -> None:
        """Drain the edge, then the replicas, and leave no process behind."""
