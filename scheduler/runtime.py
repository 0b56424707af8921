"""What hosts nodes: the contract that the Ray runtime and the process runtime both keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nodes.configured_policies import ConfiguredPolicies
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from scheduler.autoscaling import AutoscalingRule

__all__ = ["Runtime"]


class Runtime(Protocol):
    """Starts nodes, keeps replicas alive, drains them. The two sides may be started at the same time."""

    async def start(self) -> None:
        """Start what nodes will run in, so that this takes no time later. Starting a node does it where nobody did."""

    async def start_cloud(self, settings: CloudSettings, rule: AutoscalingRule, replicas: int) -> None:
        """Start so many replicas, return when all serve, and go on by the rule. Raises what a node raises,
        DeviceUnavailable included.

        Where replicas run already, these are the next version, beside them; when one cannot start, none of them stays,
        and those that ran before are as they were.
        """

    async def takes_over(self, settings: CloudSettings) -> bool:
        """Whether replicas of the same cloud serve that a launcher left which died: the first `start_cloud` of this one
        is their next version. settings: of that one."""

    async def retire_clouds(self) -> None:
        """Drain all replicas but those of the last `start_cloud`."""

    async def drop_cloud(self) -> None:
        """Drain the replicas of the last `start_cloud`; those of the one before count as the last again."""

    def wake(self) -> None:
        """An edge has requests and sees no replica: have one started where there is none. Returns at once."""

    async def start_edge(self, settings: EdgeSettings) -> str:
        """Start the edge and return the address of its gateway."""

    async def wait_until_planned(self, timeout_s: float) -> bool:
        """Wait for the edge to offer plans that use the cloud. False when it takes longer."""

    async def watch_edge(self) -> None:
        """Until cancelled. Raises Unavailable when the edge that was started has died, and nobody starts it again."""

    async def configure(self, policies: ConfiguredPolicies) -> None:
        """These policies on the edge that was started, from its next request on, as a whole.

        Raises what the edge refuses them with, Unavailable for an edge that does not answer.
        """

    async def switch_models(self, models: Sequence[ModelArtifact]) -> None:
        """These versions of its models on the edge that was started: see `nodes.edge_host.EdgeHost.switch_models`.

        Raises what the edge refuses them with, Unavailable for an edge that does not answer.
        """

    async def stop(self) -> None:
        """Drain the edge, then the replicas, and leave no process behind."""
