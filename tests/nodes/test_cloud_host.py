"""A replica as a whole, in this process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import torch
from torch import nn

from nodes.cloud_host import CloudHost
from nodes.settings import CloudSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.fleet_registry import FleetRegistry
from tests.nodes.sites import eventually


async def test_a_replica_registers_with_the_prefix_that_its_settings_say(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), tmp_path / "small")
    book = FleetRegistry()
    registry = await RegistryServer.start(book, "127.0.0.1:0")
    models = (ModelArtifact("small", str(tmp_path / "small")),)
    settings = CloudSettings(models, "127.0.0.1:0", registry.address, id_prefix="third-")
    host = await CloudHost.start(CloudSettings.from_json(settings.to_json()))
    try:
        await eventually(lambda: bool(book.view().replicas))
        (replica,) = book.view().replicas
        assert (replica.replica_id[:6], len(replica.replica_id)) == ("third-", 18)
        assert host.node.describe().replica_id == replica.replica_id
    finally:
        await host.drain()
        await registry.stop()


async def test_the_event_loop_goes_on_while_the_last_computation_of_a_drain_ends(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), tmp_path / "small")
    models = (ModelArtifact("small", str(tmp_path / "small")),)
    host = await CloudHost.start(CloudSettings(models, "127.0.0.1:0", "127.0.0.1:1", drain_s=0.1))
    begun, gate, went_on = threading.Event(), threading.Event(), list[bool]()

    def last() -> None:
        begun.set()
        went_on.append(gate.wait(5.0))

    host._pool.post(last, list)
    await eventually(begun.is_set)
    draining = asyncio.create_task(host.drain())
    await eventually(lambda: host._pool._closed)
    gate.set()
    await draining
    assert went_on == [True]
