"""Two cloud replicas in processes of their own behind one address: a proxy that routes by metadata, a balancer that
does not. The edge has a stream to each, and loses nothing when one is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isthmus.client import AsyncClient
from nodes.edge_host import EdgeHost
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from tests.nodes.relays import ROUTE, balancer, metadata_proxy
from tests.nodes.sites import eventually

ANYWHERE = "127.0.0.1:0"
START_S = 120.0
AT_ONCE = 64  # half of what may wait on an edge: one that was asked for more would be right to refuse some


@dataclass(frozen=True)
class Fleet:
    """An edge in this process, replicas in others."""

    edge: EdgeHost
    processes: list[Process]

    async def usable(self, count: int) -> None:
        """Return when so many replicas take requests."""
        await eventually(lambda: self.edge.node.replicas.usable == count)

    async def ask(self, count: int) -> list[str]:
        """Who finished each of so many requests that need the cloud."""
        turn = asyncio.Semaphore(AT_ONCE)
        async with AsyncClient(self.edge.address) as client:
            (name,) = await client.input_names("small")

            async def one() -> str:
                async with turn:
                    answer = await client.infer("small", {name: np.ones((1, 16), np.float32)}, policy="cloud-only")
                return str(answer.parameters["isthmus_finished_by"])

            return await asyncio.gather(*(one() for _ in range(count)))


@contextlib.asynccontextmanager
async def fleet(folder: Path, kind: str) -> AsyncIterator[Fleet]:
    layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    save_artifact(model_from_module(layers, (torch.zeros(2, 16),), "small"), folder / "small")
    models, targets = (ModelArtifact("small", str(folder / "small")),), list[str]()
    async with contextlib.AsyncExitStack() as stack:
        registry = await RegistryServer.start(FleetRegistry(lease_s=1.0), ANYWHERE)
        stack.push_async_callback(registry.stop)
        settings = CloudSettings(models, ANYWHERE, registry.address, drain_s=1.0)
        if kind == "routed":
            proxy = await stack.enter_async_context(metadata_proxy())
            settings = replace(settings, advertise=proxy, route={ROUTE: "{address}"})
        else:
            settings = replace(
                settings, advertise=await stack.enter_async_context(balancer(targets)), connection_age_s=1.0
            )
        processes = [await stack.enter_async_context(running(settings)) for _ in range(2)]
        targets += await asyncio.gather(*(_ready(process) for process in processes))
        edge = await EdgeHost.start(EdgeSettings(models, ANYWHERE, registry.address), PlanChooser(explore_share=0.0))
        stack.push_async_callback(edge.drain)
        yield Fleet(edge, processes)


@contextlib.asynccontextmanager
async def running(settings: CloudSettings) -> AsyncIterator[Process]:
    command = (sys.executable, "-m", "scheduler.process_node", "cloud")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        assert process.stdin is not None
        process.stdin.write(settings.to_json().encode() + b"\n")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _ready(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        said: dict[str, str] = json.loads(await process.stdout.readline())
    return said["ready"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["routed", "blind"])
async def test_each_replica_behind_one_address_gets_a_stream_and_a_death_costs_no_answer(
    tmp_path: Path, kind: str
) -> None:
    async with fleet(tmp_path, kind) as there:
        await there.usable(2)
        states = there.edge.node.replicas.states()
        assert len({one.target for one in states}) == 1
        assert len({one.replica_id for one in states}) == 2
        assert set(await there.ask(20)) == {"cloud"}
        asked = asyncio.create_task(there.ask(200))
        await asyncio.sleep(0)
        there.processes[0].kill()
        assert len(await asked) == 200
        await there.usable(1)
        assert set(await there.ask(20)) == {"cloud"}
