"""A site for figures on outages: cloud replicas as processes that can be killed, stopped and drained, an emulated link
in a process of its own, and an edge with its gateway in this process. The model is small and real."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.node_process import START_S, NodeProcess
from isthmus.addresses import format_address, parse_address
from isthmus.client import AsyncClient
from isthmus.errors import CloudUnavailable, DeadlineExceeded, IsthmusError, NotFound
from isthmus.telemetry import configure_logging
from nodes.chooser import Choice, ChoiceRequest
from nodes.edge_host import EdgeHost
from nodes.measure.batch_times import relative_difference
from nodes.plan_shapes import cut_plan
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.link import Link
from partitioner.model import Model
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from scheduler.policies.fixed import FixedPolicy
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess

__all__ = ["Asked", "OutageSite", "SplitWhereItCan", "outage_site"]

MODEL, WIDTH = "outage", 64
# Requests that were joined differ from the whole model by some 1e-7 of the largest value; two requests by much of it.
ROUNDING = 1e-5


class SplitWhereItCan:
    """The split plan whenever a replica is there, so that outages meet requests; edge-only otherwise."""

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        with contextlib.suppress(CloudUnavailable, DeadlineExceeded, NotFound):
            return FixedPolicy.of("split").choose(request, link, rng)
        return FixedPolicy.of("edge-only").choose(request, link, rng)


def made_model(boundary: int, depth: int) -> Model:
    """`boundary` floats an item after the first layer; so many more of that width, and a last one."""
    torch.manual_seed(0)
    more = (nn.Sequential(nn.Linear(boundary, boundary), nn.ReLU()) for _ in range(depth))
    layers = nn.Sequential(nn.Linear(WIDTH, boundary), nn.ReLU(), *more, nn.Linear(boundary, 10))
    return model_from_module(layers.eval(), (torch.zeros(2, WIDTH),), MODEL)


def inputs_of(seed: int, batch: int = 1) -> NDArray[np.float32]:
    """One request's tensor."""
    return np.random.default_rng(seed).normal(size=(batch, WIDTH)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client got. ended_s: when, on the monotonic clock. error: "" for an answer. request_id: the gateway's."""

    in_time: bool
    ended_s: float
    right: bool = False
    error: str = ""
    finished_by: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class OutageSite:
    """What runs. client: asks the edge's gateway over real gRPC."""

    model: Model
    link: LinkEmulatorProcess
    replicas: tuple[NodeProcess, ...]
    edge: EdgeHost
    client: AsyncClient

    async def ask(self, seed: int, deadline_s: float, batch: int = 1) -> Asked:
        """One request of its own inputs; right: the whole model's output, but for what batching rounds otherwise."""
        inputs, began_s = inputs_of(seed, batch), time.monotonic()
        name = self.model.interface.inputs[0].name
        try:
            result = await self.client.infer(MODEL, {name: inputs}, timeout_s=deadline_s)
        except IsthmusError as error:
            return Asked(False, time.monotonic(), error=f"{type(error).__name__}: {error}")
        ended_s = time.monotonic()
        with torch.inference_mode():
            whole = self.model(torch.from_numpy(inputs))[0]
        (answer,) = result.outputs.values()
        right = relative_difference(torch.from_numpy(answer.copy()), whole) <= ROUNDING
        finished_by = str(result.parameters["isthmus_finished_by"])
        return Asked(ended_s - began_s <= deadline_s, ended_s, right, "", finished_by, result.request_id)

    async def usable(self, count: int) -> None:
        """Returns once the edge takes so many replicas for healthy."""
        began_s, replicas = time.monotonic(), self.edge.node.replicas
        while replicas.usable < count:
            if time.monotonic() - began_s > START_S:
                raise TimeoutError(f"{replicas.usable} of {count} replicas are usable after {START_S:g} s")
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def outage_site(
    boundary: int,
    shape: LinkShape,
    replicas: int,
    *,
    depth: int = 0,
    slowdown: float = 1.0,
    kept_bytes: int = 256_000_000,
) -> AsyncIterator[OutageSite]:
    """boundary: floats an item that cross the cut. depth: layers of the suffix but one. slowdown, kept_bytes: as in
    EdgeSettings."""
    configure_logging("critical")
    torch.set_num_threads(1)
    model = made_model(boundary, depth)
    plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:2]), {}, "raw")
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / MODEL
        save_artifact(model, folder)
        link = stack.enter_context(LinkEmulatorProcess(shape))

        async def relayed(target: str) -> str:
            return format_address(*await asyncio.to_thread(link.relay, "127.0.0.1", 0, *parse_address(target)))

        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0", endpoint_mapper=relayed)
        stack.push_async_callback(registry.stop)
        cloud = CloudSettings((ModelArtifact(MODEL, str(folder)),), "127.0.0.1:0", registry.address, drain_s=5.0)
        started = tuple(NodeProcess("cloud", cloud) for _ in range(replicas))
        for replica in started:
            stack.push_async_callback(replica.end, kill=True)
        await asyncio.gather(*(replica.start() for replica in started))
        artifact = ModelArtifact(MODEL, str(folder), (plan.to_json(),))
        settings = EdgeSettings(
            (artifact,), "127.0.0.1:0", registry.address, slowdown=slowdown, kept_bytes=kept_bytes, drain_s=2.0
        )
        edge = await EdgeHost.start(settings, PlanChooser(f"{__name__}:SplitWhereItCan"))
        stack.push_async_callback(edge.drain)
        client = await stack.enter_async_context(AsyncClient(edge.address))
        site = OutageSite(model, link, started, edge, client)
        await site.usable(replicas)
        yield site
