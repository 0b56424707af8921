"""A real edge, a real replica and a real registry, asked by a client and scraped as Prometheus would."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isthmus.client import AsyncClient
from isthmus.errors import IsthmusError
from nodes.cloud_host import CloudHost
from nodes.edge_host import EdgeHost
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from nodes.wanted_replicas import WantedReplicas
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from tests.nodes.metrics.scrapes import Scrape, Scrapes

ANYWHERE = "127.0.0.1:0"


@pytest.fixture(scope="session")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Scrapes:
    """Made once: nothing in them changes."""
    folder = tmp_path_factory.mktemp("site")
    layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    save_artifact(model_from_module(layers, (torch.zeros(2, 16),), "small"), folder / "small")
    return asyncio.run(_scraped(folder / "small"))


async def _scraped(artifact: Path) -> Scrapes:
    models = (ModelArtifact("small", str(artifact)),)
    registry = await RegistryServer.start(FleetRegistry(), ANYWHERE)
    cloud = await CloudHost.start(CloudSettings(models, ANYWHERE, registry.address, metrics_listen=ANYWHERE))
    edge = await EdgeHost.start(
        EdgeSettings(models, ANYWHERE, registry.address, metrics_listen=ANYWHERE), PlanChooser(explore_share=0.0)
    )
    try:
        async with asyncio.timeout(60):
            await edge.node.planned.wait()
            await _ask(edge.address)
            await _until_the_link_is_known(edge)
        cloud.node.wanted = WantedReplicas(0.5, 4)  # as Serve's replicas are told
        return Scrapes(await _scrape(edge.metrics_address), await _scrape(cloud.metrics_address))
    finally:
        await edge.drain()
        await cloud.drain()
        await registry.stop()


async def _until_the_link_is_known(edge: EdgeHost) -> None:
    while True:  # echoes tell, twice a second
        if edge.node.link is not None:
            return
        await asyncio.sleep(0.02)


async def _ask(address: str) -> None:
    async with AsyncClient(address) as client:
        (name,) = await client.input_names("small")
        for policy in ["cloud-only"] * Scrapes.answered_in_cloud + ["edge-only"] * Scrapes.answered_on_edge:
            answer = await client.infer("small", {name: np.ones((1, 16), np.float32)}, policy=policy)
        await client.infer("small", {name: np.ones((1, 16), np.float32)}, plan_id=answer.plan_id)
        for model, width in (("made-up-by-a-client", 16), ("small", 5)):
            with pytest.raises(IsthmusError):
                await client.infer(model, {name: np.ones((1, width), np.float32)})


async def _scrape(address: str) -> Scrape:
    def asked() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text: str = answer.read().decode()
            return text

    return Scrape(await asyncio.to_thread(asked))
