"""What does it save to send a boundary tensor as soon as it exists, on a link of 20 Mbit/s and 30 ms round trip?

An encoder and decoder with a skip: two tensors cross, a large one that the encoder makes early and a small one that it
ends with. A is the request whose first tensor leaves at once, B that whose tensors leave when the prefix ended; both
are whole requests of an edge in this process (emulated 4 times slower) to a replica in a process of its own. The value
is the time of A over that of B. Their answers are the same bits.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Never

import torch
from torch import Tensor, nn

from benchmarks.figure import Figure, Options, measure_pairs, parse_options, ratio_figure, report
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
from nodes.halves import EdgeHalf
from nodes.inputs import ModelInputs
from nodes.model_runtime import ReadyPlan, plan_definition, wire_codecs
from nodes.plan_builder import PlanBuilder
from nodes.plan_shapes import cut_plan
from nodes.prefix_queue import PrefixQueue
from nodes.replica_set import ReplicaSet
from nodes.request_run import Answer, RequestRun
from nodes.resume_schedule import ResumeSchedule
from nodes.resumption import ResumeCounts
from nodes.settings import CloudSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from nodes.transport.segment_client import SegmentClient
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.link import Link
from partitioner.model import Model
from scheduler.fleet_registry import FleetRegistry
from scheduler.plan_chooser import PlanChooser
from simulations.link_emulator import LinkShape
from simulations.link_process import LinkEmulatorProcess

SHAPE, SLOWDOWN, GOAL = LinkShape(20e6, 20e6, 0.03), 4.0, 0.9
WARM_UP, QUICK_ROUNDS, ROUNDS = 5, 30, 100


class Skipping(nn.Module):
    """What crosses: 12 channels of 48 x 48 (111 kB) early, 16 of 6 x 6 (2 kB) at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        widths = (12, 64, 64, 64, 64)
        self.encoder = nn.Sequential(
            *(layer for a, b in itertools.pairwise(widths) for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())),
            nn.Conv2d(64, 16, 3, stride=8, padding=1),
        )
        self.decoder = nn.Sequential(nn.Upsample(scale_factor=8), nn.Conv2d(16, 12, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        skip = torch.relu(self.first(x))
        deep = torch.relu(self.encoder(skip))
        return torch.cat([self.decoder(deep), skip], 1).mean((2, 3))


def made_model() -> Model:
    torch.manual_seed(0)
    return model_from_module(Skipping().eval(), (torch.zeros(2, 3, 96, 96),), "skipping")


@dataclass(frozen=True)
class Site:
    """early, late: the same plan, with its tensors sent as they are made and at the end."""

    model: Model
    around: Surroundings
    connection: GuardedConnection
    early: ReadyPlan
    late: ReadyPlan

    async def ask(self, ready: ReadyPlan) -> Answer:
        image = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
        request = InferRequest(self.model.name, ModelInputs({self.model.graph.inputs[0]: image}, 1), 30.0)
        predicted = ready.entry.predict(1, 0, Link(SHAPE.uplink_bps, SHAPE.downlink_bps, SHAPE.rtt_s))
        choice = Choice(ready.entry, predicted, "")
        answer = await RequestRun(request, choice, ready, self.around, cloud_required=False).run(self.connection)
        assert (answer.finished_by, answer.sendings) == ("cloud", 1), answer
        return answer


def plans(model: Model, engine: EagerEngine) -> tuple[ReadyPlan, ReadyPlan]:
    """The plan as an edge makes it ready, and the same without early tensors."""
    ops = [op.name for op in model.graph.ops]
    cut = cut_plan(model, tuple(ops[: ops.index("relu_5") + 1]), {}, "raw")
    builder = PlanBuilder(model, engine, SLOWDOWN, (cut,))
    (early,) = builder.ready(builder.given()[0])
    plan = early.entry.plan
    codecs = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
    return early, replace(early, half=EdgeHalf(model, plan.edge_ops, *codecs, engine, SLOWDOWN))


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[Site]:
    configure_logging("critical")
    model, chooser, pool = made_model(), PlanChooser(), ComputePool(1)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(pool.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / model.name
        save_artifact(model, folder)
        link = stack.enter_context(LinkEmulatorProcess(SHAPE))
        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
        stack.push_async_callback(registry.stop)
        artifact = ModelArtifact(model.name, str(folder))
        replica = NodeProcess("cloud", CloudSettings((artifact,), "127.0.0.1:0", registry.address))
        stack.push_async_callback(replica.end, kill=True)
        await replica.start()
        relayed = format_address(*await asyncio.to_thread(link.relay, "127.0.0.1", 0, *parse_address(replica.address)))
        early, late = await pool.run(plans, model, EagerEngine())
        client = await SegmentClient.connect(Endpoint(relayed), "edge", ChooserObserver(chooser), chooser.cloud_queue())
        stack.push_async_callback(client.close)
        connection = GuardedConnection(client, CircuitBreaker())
        await connection.prepare(plan_definition(early.entry.plan))
        around = Surroundings(
            PrefixQueue(pool, chooser.edge_queue()), ReplicaSet(_nobody, _nobody), chooser, ResumeSchedule(),
            ByteBudget(MOST_KEPT_BYTES, "edge.kept_memory"), ResumeCounts(), itertools.count(1),
            chooser.way_up(),
        )  # fmt: skip
        yield Site(model, around, connection, early, late)


async def _nobody(*_: object) -> Never:
    """This edge has one replica, and dials it itself."""
    raise NotImplementedError


async def measure(options: Options) -> Figure:
    loop = asyncio.get_running_loop()
    async with site() as running:
        for ready in (running.early, running.late) * WARM_UP:
            await running.ask(ready)
        early, late = await running.ask(running.early), await running.ask(running.late)
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(early.outputs, late.outputs, strict=True))

        prefixes_s: list[float] = []

        def seconds(ready: ReadyPlan) -> Callable[[], float]:
            async def one() -> float:
                began_s = time.perf_counter()
                prefixes_s.append((await running.ask(ready)).timings.edge_s)
                return time.perf_counter() - began_s

            return lambda: asyncio.run_coroutine_threadsafe(one(), loop).result()

        rounds = QUICK_ROUNDS if options.quick else ROUNDS
        samples = await asyncio.to_thread(
            measure_pairs, seconds(running.early), seconds(running.late), rounds, options.seed
        )
    boundary = {tensor.tensor: f"{tensor.bytes} bytes" for tensor in running.early.entry.plan.boundary}
    details = {
        "emulated": f"the edge is {SLOWDOWN:g} times slower than this machine; 20 Mbit/s, 30 ms round trip",
        "boundary, in the order of making": boundary,
        "prefix": f"{median(prefixes_s) * 1e3:.1f} ms, the median",
    }
    return ratio_figure("early_upload", samples, GOAL, options, details=details)


def main() -> None:
    options = parse_options(__doc__ or "")
    report(asyncio.run(measure(options)), options)


if __name__ == "__main__":
    main()
