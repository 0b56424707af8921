"""A real edge and a real replica, served from a thread, with its page and its metrics at one port."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isthmus.client import AsyncClient
from isthmus.errors import IsthmusError
from nodes.cloud_host import CloudHost
from nodes.edge_host import EdgeHost
from nodes.fleet import Endpoint, Replica
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sight.views import HOSTILE

ANYWHERE = "127.0.0.1:0"
WAIT_S = 60


@dataclass(frozen=True)
class LiveSite:
    """Where it is seen, and the id of its newest request. Its registry names a replica of the name HOSTILE besides."""

    url: str
    request_id: str


@pytest.fixture(scope="module")  # not longer: what it logs meanwhile would stand among what others print
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """After three requests in the cloud and one on the edge, of the class HOSTILE, one for a plan that is not there and
    one for a model HOSTILE."""
    folder = tmp_path_factory.mktemp("site")
    layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    save_artifact(model_from_module(layers, (torch.zeros(2, 16),), "small"), folder / "small")
    started: Future[tuple[LiveSite, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder / "small", started)))
    thread.start()
    site, loop, over = started.result(WAIT_S)
    yield site
    loop.call_soon_threadsafe(over.set)
    thread.join(WAIT_S)


async def _serve(
    artifact: Path, started: Future[tuple[LiveSite, asyncio.AbstractEventLoop, asyncio.Event]]
) -> None:  # fmt: skip
    over = asyncio.Event()
    try:
        async with contextlib.AsyncExitStack() as stack:
            site = await _started(artifact, stack)
            started.set_result((site, asyncio.get_running_loop(), over))
            await over.wait()
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise


async def _started(artifact: Path, stack: contextlib.AsyncExitStack) -> LiveSite:
    models = (ModelArtifact("small", str(artifact)),)
    book = FleetRegistry(lease_s=3600.0)
    registry = await RegistryServer.start(book, ANYWHERE, emulated_link="a string and two cans")
    stack.push_async_callback(registry.stop)
    cloud = await CloudHost.start(CloudSettings(models, ANYWHERE, registry.address))
    stack.push_async_callback(cloud.drain)
    settings = EdgeSettings(
        models, ANYWHERE, registry.address, slowdown=2.0, metrics_listen=ANYWHERE, page_listen=ANYWHERE
    )
    edge = await EdgeHost.start(settings, PlanChooser(explore_share=0.0))
    stack.push_async_callback(edge.drain)
    book.register(Replica(HOSTILE, Endpoint("127.0.0.1:1")), asyncio.get_running_loop().time())
    async with asyncio.timeout(WAIT_S):
        await edge.node.planned.wait()
    return LiveSite(f"http://{edge.page_address}", await _ask(edge.address))


async def _ask(address: str) -> str:
    inputs = np.ones((1, 16), np.float32)
    async with AsyncClient(address) as client:
        (name,) = await client.input_names("small")
        for policy in ("cloud-only", "cloud-only", "cloud-only", "edge-only"):
            answer = await client.infer("small", {name: inputs}, policy=policy, request_class=HOSTILE)
        for model, plan_id in (("small", "0" * 16), (HOSTILE, None)):
            with contextlib.suppress(IsthmusError):
                await client.infer(model, {name: inputs}, plan_id=plan_id)
    return answer.request_id
