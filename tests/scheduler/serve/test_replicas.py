"""What a replica tells Serve of its work, and shows of it. It runs without Serve, which awaits its constructor."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from nodes.settings import CloudSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.autoscaling import BUSY_SHARE, AutoscalingRule
from scheduler.fleet_registry import FleetRegistry
from scheduler.serve.replica_scaling import OFFERED, QUEUED_S, rule_arguments
from scheduler.serve.replicas import CloudReplica


class Unfinalised(CloudReplica):
    """Nobody awaits its end here."""

    def __del__(self) -> None:  # type: ignore[override]
        pass


async def test_a_replica_shows_what_its_work_asks_for_each_time_it_tells_serve(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), tmp_path / "small")
    registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
    settings = CloudSettings((ModelArtifact("small", str(tmp_path / "small")),), "127.0.0.1:0", registry.address)
    replica = Unfinalised.__new__(Unfinalised)
    await replica.__init__(settings.to_json(), rule_arguments(AutoscalingRule(1, 7)))  # type: ignore[misc]
    try:
        node = replica._host.node
        assert node.wanted is None
        node._offered_s += 2.0
        told = await replica.record_autoscaling_stats()
        assert (told[QUEUED_S], told[OFFERED] > 0) == (0.0, True)
        assert node.wanted is not None
        assert (node.wanted.share, node.wanted.most) == (told[OFFERED] / BUSY_SHARE, 7)
    finally:
        await CloudReplica.__del__(replica)
        await registry.stop()
