"""A site for figures on uploads: an edge in this process, with one replica that it dials itself, in a process of its
own behind an emulated link."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import torch

from benchmarks.node_process import NodeProcess
from isthmus.addresses import format_address, parse_address
from isthmus.telemetry import configure_logging
from nodes.accepted_request import Surroundings
from nodes.byte_budget import MOST_KEPT_BYTES, ByteBudget
from nodes.chooser import Choice
from nodes.chooser_observer import ChooserObserver
from nodes.circuit_breaker import CircuitBreaker
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint
from nodes.gateway import InferRequest
from nodes.guarded_connection import GuardedConnection
from nodes.inputs import ModelInputs
from nodes.model_runtime import ReadyPlan, plan_definition
from nodes.plan_builder import PlanBuilder
from nodes.prefix_queue import PrefixQueue
from nodes.replica_set import ReplicaSet
from nodes.request_run import Answer, RequestRun
from nodes.resume_schedule import ResumeSchedule
from nodes.resumption import ResumeCounts
from nodes.settings import CloudSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from nodes.transport.segment_client import SegmentClient
from partitioner.artifact import save_artifact
from partitioner.link import Link
from partitioner.model import Model
from partitioner.plan import Plan
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess

__all__ = ["UploadSite", "upload_site"]


@dataclass(frozen=True)
class UploadSite:
    """ready: the plan as an edge makes it ready. whole: the same replica, as one that takes no tensor before all are
    made."""

    model: Model
    shape: LinkShape
    around: Surroundings
    connection: GuardedConnection
    whole: GuardedConnection
    ready: ReadyPlan
    input: torch.Tensor

    async def ask(self, ready: ReadyPlan, connection: GuardedConnection) -> Answer:
        """By that plan, of that replica, which must answer."""
        request = InferRequest(self.model.name, ModelInputs({self.model.graph.inputs[0]: self.input}, 1), 30.0)
        predicted = ready.entry.predict(1, 0, Link(self.shape.uplink_bps, self.shape.downlink_bps, self.shape.rtt_s))
        choice = Choice(ready.entry, predicted, "")
        answer = await RequestRun(request, choice, ready, self.around, cloud_required=True).run(connection)
        assert (answer.finished_by, answer.sendings) == ("cloud", 1), answer
        return answer

    def seconds(
        self, ready: ReadyPlan, connection: GuardedConnection, answers: list[Answer] | None = None
    ) -> Callable[[], float]:
        """How long one such request takes, each time that is asked in another thread than this loop's. answers: gets
        what it is answered."""
        loop = asyncio.get_running_loop()

        async def one() -> float:
            began_s = time.perf_counter()
            answer = await self.ask(ready, connection)
            took_s = time.perf_counter() - began_s
            if answers is not None:
                answers.append(answer)
            return took_s

        return lambda: asyncio.run_coroutine_threadsafe(one(), loop).result()


class _Whole(GuardedConnection):
    @property
    def takes_more_tensors(self) -> bool:
        return False


@contextlib.asynccontextmanager
async def upload_site(
    model: Model, plan: Callable[[Model], Plan], shape: LinkShape, slowdown: float, seed: int = 1
) -> AsyncIterator[UploadSite]:
    """slowdown: of the edge, emulated."""
    configure_logging("critical")
    chooser, pool = PlanChooser(), ComputePool(1)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(pool.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / model.name
        save_artifact(model, folder)
        link = stack.enter_context(LinkEmulatorProcess(shape))
        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
        stack.push_async_callback(registry.stop)
        artifact = ModelArtifact(model.name, str(folder))
        replica = NodeProcess("cloud", CloudSettings((artifact,), "127.0.0.1:0", registry.address))
        stack.push_async_callback(replica.end, kill=True)
        await replica.start()
        relayed = format_address(*await asyncio.to_thread(link.relay, "127.0.0.1", 0, *parse_address(replica.address)))
        builder = PlanBuilder(model, EagerEngine(), slowdown, (plan(model),))
        (ready,) = await pool.run(builder.ready, builder.given()[0])
        client = await SegmentClient.connect(Endpoint(relayed), "edge", ChooserObserver(chooser), chooser.cloud_queue())
        stack.push_async_callback(client.close)
        connection, whole = GuardedConnection(client, CircuitBreaker()), _Whole(client, CircuitBreaker())
        await connection.prepare(plan_definition(ready.entry.plan))
        around = Surroundings(
            PrefixQueue(pool, chooser.edge_queue()), ReplicaSet(_nobody, _nobody), chooser, ResumeSchedule(),
            ByteBudget(MOST_KEPT_BYTES, "edge.kept_memory"), ResumeCounts(), itertools.count(1),
            chooser.way_up(),
        )  # fmt: skip
        taken = model.graph.tensors[model.graph.inputs[0]].shape_at(1)
        values = torch.randn(taken, generator=torch.Generator().manual_seed(seed))
        yield UploadSite(model, shape, around, connection, whole, ready, values)


async def _nobody(*_: object) -> Never:
    """This edge has one replica, and dials it itself."""
    raise NotImplementedError
