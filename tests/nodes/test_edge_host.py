"""An edge as a whole, without a cloud: a real model behind a real gateway, in this process."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from structlog.testing import capture_logs
from torch import nn

from isthmus.addresses import parse_address
from isthmus.errors import PortInUse
from nodes.edge_host import EdgeHost
from nodes.node_status import NodeStatus
from nodes.settings import EdgeSettings, ModelArtifact
from nodes.steering import EVERYTHING, PolicySetting, Steering
from nodes.transport.operator_client import OperatorClient
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser


def test_an_edge_learns_at_its_start_what_requests_cost_besides(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(60_000, 8), nn.ReLU()).eval()
    spec = ModelSpec(module=module, example_inputs=(torch.zeros(2, 60_000),), name="small")
    save_artifact(model_from_module(spec), tmp_path / "small")
    settings = EdgeSettings((ModelArtifact("small", str(tmp_path / "small")),), "127.0.0.1:0", registry="")

    async def started() -> EdgeHost:
        host = await EdgeHost.start(settings, PlanChooser())
        await host.drain()
        return host

    overhead = asyncio.run(started()).node.overhead
    assert overhead.requests >= 6  # three at least of one item (240 kB), and three of two
    assert 1e-4 < overhead.seconds(240_000) <= overhead.seconds(480_000) < 1.0


def test_an_edge_whose_metrics_port_is_taken_lets_its_own_go(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), tmp_path / "small")
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        metrics, listen = (f"127.0.0.1:{one.getsockname()[1]}" for one in (taken, free))
        free.close()
        settings = EdgeSettings((ModelArtifact("small", str(tmp_path / "small")),), listen, "", metrics_listen=metrics)
        with pytest.raises(PortInUse, match=rf"edge\.metrics_listen: cannot listen on {metrics}"):
            asyncio.run(EdgeHost.start(settings, PlanChooser()))
        socket.create_server(parse_address(listen)).close()


def test_an_edge_whose_page_port_is_taken_lets_the_others_go(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), tmp_path / "small")
    models = (ModelArtifact("small", str(tmp_path / "small")),)
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        page, metrics = (f"127.0.0.1:{one.getsockname()[1]}" for one in (taken, free))
        free.close()
        settings = EdgeSettings(models, "127.0.0.1:0", "", metrics_listen=metrics, page_listen=page)
        with pytest.raises(PortInUse, match=rf"edge\.page_listen: cannot listen on {page}"):
            asyncio.run(EdgeHost.start(settings, PlanChooser()))
        socket.create_server(parse_address(metrics)).close()


def test_an_edge_whose_registry_dies_says_so(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), tmp_path / "small")
    models, anywhere = (ModelArtifact("small", str(tmp_path / "small")),), "127.0.0.1:0"

    async def told_of_the_registry() -> None:
        registry = await RegistryServer.start(FleetRegistry(), anywhere)
        settings = EdgeSettings(models, anywhere, registry.address, metrics_listen=anywhere, page_listen=anywhere)
        host = await EdgeHost.start(settings, PlanChooser())
        try:
            async with asyncio.timeout(30):
                assert (await fleet_of(host, lambda fleet: fleet["away_s"] is None))["heard"]
                assert "isthmus_registry_connected 1.0" in await got(host.metrics_address, "metrics")
                await registry.stop()
                fleet = await fleet_of(host, lambda fleet: fleet["away_s"] is not None)
            assert fleet["heard"]
            assert 0.0 <= fleet["away_s"] < 30.0
            assert "isthmus_registry_connected 0.0" in await got(host.metrics_address, "metrics")
        finally:
            await host.drain()
            await registry.stop()

    asyncio.run(told_of_the_registry())


async def fleet_of(host: EdgeHost, found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What the page is told of the fleet, once it is that."""
    while True:
        fleet: dict[str, Any] = json.loads(await got(host.page_address, "sight.json"))["fleet"]
        if found(fleet):
            return fleet
        await asyncio.sleep(0.05)


async def got(address: str, path: str) -> str:
    def asked() -> str:
        with urllib.request.urlopen(f"http://{address}/{path}", timeout=20) as answer:
            text: str = answer.read().decode()
            return text

    return await asyncio.to_thread(asked)


def test_an_edge_that_is_idle_says_that_it_holds_nothing(tmp_path: Path) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), tmp_path / "small")
    settings = EdgeSettings((ModelArtifact("small", str(tmp_path / "small")),), "127.0.0.1:0", registry="")

    async def looked_at() -> NodeStatus:
        host = await EdgeHost.start(settings, PlanChooser())
        try:
            return host.status()
        finally:
            await host.drain()

    status = asyncio.run(looked_at())
    assert (status.requests, status.streams, status.held_bytes) == (0, 0, 0)
    assert min(status.tasks, status.threads) >= 1


def test_a_configuration_that_replaces_what_an_operator_set_is_told_in_the_log(
    tmp_path: Path,
) -> None:
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "small"), tmp_path / "small")
    settings = EdgeSettings((ModelArtifact("small", str(tmp_path / "small")),), "127.0.0.1:0", registry="")

    async def steered() -> Steering:
        host = await EdgeHost.start(settings, PlanChooser.of_edge(settings))
        client = OperatorClient(host.address)
        try:
            host.configure(settings.policies)
            assert not replaced()
            await client.set_policy(EVERYTHING, PolicySetting("edge-only"))
            host.configure(settings.policies)
            return (await client.steering())[0]
        finally:
            await client.close()
            await host.drain()

    structlog.reset_defaults()  # whatever a process that ran here before had said of what is logged
    with capture_logs() as lines:

        def replaced() -> list[str]:
            said = "the configuration file replaces what `isthmus policy` set"
            return [line["replaced"] for line in lines if line["event"] == said]

        now = asyncio.run(steered())
    assert now.by_operator == {}
    assert now.configured == now.policies == settings.policies.by_scope
    assert replaced() == ["all requests: edge-only"]
