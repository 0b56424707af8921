"""A site for figures on capacity: cloud replicas on a real local Ray Serve, an edge and its gateway in this process.

The model is real and cloud-required: whatever the cloud does not answer in time fails where one can see it, instead of
being finished on the edge. Replicas compute, or are paced so that many of them fit on two cores.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.judged_requests import MODEL, Asked, ask, cloud_required, inputs_of, until_usable, whole_answer
from isthmus.client import AsyncClient
from isthmus.telemetry import configure_logging
from nodes.batching import BatchLimits
from nodes.compute_pool import ComputePool
from nodes.edge_host import EdgeHost
from nodes.engines.eager import EagerEngine
from nodes.limits import CLOUD_LIMITS, EDGE_LIMITS
from nodes.measure.device_profile import measure_device, measure_model
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.model import Model
from partitioner.profiles import DeviceProfile
from partitioner.scaled_profile import slowed_profile
from scheduler.autoscaling import AutoscalingRule
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from scheduler.serve.ray_runtime import RayRuntime

__all__ = ["RaySite", "paced_profile", "ray_site"]

QUEUE = 4096
READY_S = 60.0
# Different requests: what each is to be answered is known before, so that judging takes none of the time.
INPUTS = 64


def paced_profile(models: Sequence[Model], seconds: float) -> DeviceProfile:
    """This machine, measured, and so much slower that the whole first model takes that long; as it is where it takes
    longer anyhow, which beside other work it may."""
    engine = EagerEngine(threads=1)
    with ComputePool(1) as pool:
        made = pool.run_blocking(measure_device, 0.2, engine, ("raw",))
        for model in models:
            made = pool.run_blocking(measure_model, model, made, engine, budget_s=0.2)
    took_s = sum(made.op_seconds(models[0].graph, models[0].digest, 1).values())
    return slowed_profile(made, max(1.0, seconds / took_s))


@dataclass(frozen=True)
class RaySite:
    """What runs. client: asks the edge's gateway over real gRPC. known: the answers by their inputs' number."""

    model: Model
    runtime: RayRuntime
    registry: FleetRegistry
    edge: EdgeHost
    client: AsyncClient
    known: Mapping[int, torch.Tensor]

    async def ask(self, number: int, deadline_s: float) -> Asked:
        """See `judged_requests.ask`."""
        seed = number % INPUTS
        return await ask(self.client, self.model, seed, deadline_s, whole=self.known[seed])

    async def usable(self, count: int) -> None:
        """See `judged_requests.until_usable`."""
        await until_usable(self.edge.node.replicas, count, READY_S)


@contextlib.asynccontextmanager
async def ray_site(rule: AutoscalingRule, model: Model, paced_s: float | None) -> AsyncIterator[RaySite]:
    """paced_s: what a request takes a replica; None for what it really takes."""
    configure_logging("critical")
    torch.set_num_threads(1)
    model = cloud_required(model)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        save_artifact(model, folder / MODEL)
        artifact, runtime, book = ModelArtifact(MODEL, str(folder / MODEL)), RayRuntime(), FleetRegistry()
        registry = await RegistryServer.start(book, "127.0.0.1:0", on_want=runtime.wake)
        stack.push_async_callback(registry.stop)
        cloud = CloudSettings(
            (artifact,), "127.0.0.1:0", registry.address, batching=BatchLimits(max_batch=1),
            limits=replace(CLOUD_LIMITS, queue=QUEUE),
        )  # fmt: skip
        if paced_s is not None:
            (folder / "paced.json").write_text(paced_profile([model], paced_s).to_json())
            cloud = replace(cloud, engine="paced", paced_by=str(folder / "paced.json"))
        stack.push_async_callback(runtime.stop)
        await runtime.start_cloud(cloud, rule, rule.at_start)
        settings = EdgeSettings(
            (artifact,), "127.0.0.1:0", registry.address, drain_s=2.0, limits=replace(EDGE_LIMITS, queue=QUEUE)
        )
        edge = await EdgeHost.start(settings, PlanChooser("cloud-only"))
        stack.push_async_callback(edge.drain)
        client = await stack.enter_async_context(AsyncClient(edge.address))
        known = {seed: whole_answer(model, inputs_of(seed)) for seed in range(INPUTS)}
        site = RaySite(model, runtime, book, edge, client, known)
        await site.usable(rule.at_start)
        yield site
