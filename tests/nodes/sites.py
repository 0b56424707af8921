"""A whole edge-and-cloud site in one process, of real parts: a small model, cloud nodes behind real gRPC, one edge's
replica set, and requests run by one split plan. An engine that waits at a gate is one of a model that takes long."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from isthmus.errors import ComputeFailed
from nodes.accepted_request import Surroundings
from nodes.batch_times import BatchTimes
from nodes.byte_budget import ByteBudget
from nodes.chooser import Choice, Transfer
from nodes.chooser_observer import ChooserObserver
from nodes.cloud_models import CloudModels, HeldModel, ServedModel
from nodes.cloud_node import CloudNode
from nodes.compute_pool import ComputePool
from nodes.engines.base import Engine, Runnable, Runner
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.gateway import InferRequest
from nodes.guarded_connection import GuardedConnection
from nodes.halves import EdgeHalf
from nodes.hedging import Hedging
from nodes.inputs import ModelInputs
from nodes.limits import CLOUD_LIMITS, NodeLimits
from nodes.measure.one_thread import one_thread
from nodes.model_runtime import ReadyPlan, plan_definition, wire_codecs
from nodes.model_shelf import LoadedModel
from nodes.plan_shapes import cut_plan
from nodes.prefix_queue import PrefixQueue
from nodes.replica_set import ReplicaSet
from nodes.request_run import Answer, RequestRun
from nodes.resume_schedule import ResumeSchedule
from nodes.resumption import ResumeCounts
from nodes.tracing.base import Tracing
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.segment_client import SegmentClient
from nodes.transport.segment_server import SegmentService
from partitioner.front_end import model_from_module
from partitioner.link import Link
from partitioner.measurements import AffineTime, Provenance
from partitioner.model import Model
from partitioner.plan_table import PlanCosts, PlanEntry
from partitioner.profiles import DeviceProfile
from scheduler.plan_chooser import PlanChooser
from tests.nodes.networks import SKIP_OPS, skip_model

__all__ = ["Gate", "GatedEngine", "Site", "edge_site", "inputs_of", "served_model", "small_model"]

WIDTH = 16
WAIT_S = 120.0


def small_model(seed: int = 0, name: str = "small") -> Model:
    """Three layers; the seed makes its weights."""
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, 4))
    return model_from_module(layers.eval(), (torch.zeros(2, WIDTH),), name)


def inputs_of(seed: int, batch: int = 1) -> torch.Tensor:
    """One request's tensor."""
    return torch.randn(batch, WIDTH, generator=torch.Generator().manual_seed(seed))


class Gate:
    """Work that passes waits while it is shut, and is counted when it comes."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self.came = 0

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def passed(self) -> None:
        self.came += 1
        assert self._open.wait(WAIT_S)


@dataclass
class GatedEngine:
    """The eager engine behind a gate. failing: its segments raise instead. gated: which segments; all by default."""

    gate: Gate = field(default_factory=Gate)
    failing: bool = False
    name: str = "eager"
    device: str = "cpu"
    threads: int = 1
    slowdown: float = 1.0
    gated: Callable[[Runnable], bool] = lambda segment: True

    def __post_init__(self) -> None:
        self._engine: Engine = EagerEngine(threads=1)

    @property
    def held_bytes(self) -> int:
        return self._engine.held_bytes

    def prepare(self, segments: Iterable[Runnable]) -> float:
        return self._engine.prepare(segments)

    def load(self, segment: Runnable) -> Runner:
        run = self._engine.load(segment)
        if not self.gated(segment):
            return run

        def gated(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            self.gate.passed()
            if self.failing:
                raise ComputeFailed("made to fail")
            return run(*tensors)

        return gated


@dataclass
class Cloud:
    """One replica."""

    node: CloudNode
    engine: GatedEngine
    service: SegmentService
    server: GrpcServer
    pool: ComputePool
    target: str

    @classmethod
    async def start(
        cls, models: Sequence[Model], replica_id: str, kind: type[CloudNode] = CloudNode,
        tracing: Tracing | None = None, most_models: int | None = None, limits: NodeLimits = CLOUD_LIMITS,
    ) -> Cloud:  # fmt: skip
        """most_models: that it may hold at once; None for all."""
        engine, pool = GatedEngine(), ComputePool(1)
        held = CloudModels.holding({model.name: model for model in models}, engine)
        if most_models is not None:
            served = [served_model(model, engine) for model in models]
            held = CloudModels(served, most_models)
        node = kind(replica_id, held, pool, profile(), limits=limits)
        service = SegmentService(node, limits, tracing)
        server = service.server()
        return cls(node, engine, service, server, pool, await server.start("127.0.0.1:0", "cloud.listen"))

    async def die(self) -> None:
        """Without a goodbye to anybody."""
        await self.server.stop(0)
        self.engine.gate.open()

    async def stop(self) -> None:
        await self.die()
        self.pool.close()


def served_model(model: Model, engine: Engine) -> ServedModel:
    """One whose weights count as one byte."""
    return ServedModel(model.name, model.digest, 1, lambda: HeldModel(model, engine))


def profile() -> DeviceProfile:
    """Of a device that nobody asks about."""
    made = Provenance("2026-01-01T00:00:00Z", "test", "2.13", 0.1, False, "glibc")
    return DeviceProfile("cpu", "test", 1, 1.0, {"float32": 1e10}, 1e10, 1e-5, {}, made)


def split_plan(
    model: Model, engine: Engine, *, cloud_s: float, finish_s: float, ops: int = 2, early: Sequence[int] = ()
) -> ReadyPlan:
    """The first ops on the edge, in zstd; with those costs."""
    plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:ops]), {}, "zstd")
    costs = PlanCosts(AffineTime(0.0, 1e-4), AffineTime(0.0, cloud_s), 0, 128.0, 0, 16.0, AffineTime(0.0, finish_s))
    half = EdgeHalf(model, plan.edge_ops, wire_codecs(plan.boundary), wire_codecs(plan.downlink), engine, early=early)
    return ReadyPlan(PlanEntry(plan, costs), half, BatchTimes.of({1: 1e-4}))


@dataclass
class Site:
    """One edge, driven request by request."""

    model: Model
    ready: ReadyPlan
    around: Surroundings
    clouds: list[Cloud]
    edge_gate: Gate
    engine: GatedEngine
    chooser: PlanChooser
    cloud_required: bool = False

    async def run(self, seed: int, timeout_s: float | None = None, first: GuardedConnection | None = None) -> Answer:
        """One request by the split plan. first: whom to ask first; whom the chooser takes, where nothing is said."""
        request = InferRequest(
            self.model.name, ModelInputs({self.model.graph.inputs[0]: inputs_of(seed)}, 1), timeout_s
        )
        predicted = self.ready.entry.predict(1, 0, self.chooser.link() or Link(1e8, 1e8, 0.0))
        run = RequestRun(
            request, Choice(self.ready.entry, predicted, ""), self.ready, self.around,
            cloud_required=self.cloud_required,
        )  # fmt: skip
        return await run.run(
            first or self.around.replicas.pick((self.ready.entry.plan.wire_digest,), self.chooser.choose_replica)
        )

    def is_right(self, answer: Answer, seed: int) -> bool:
        """Whether the outputs are the whole model's, on one thread, as the nodes compute here: to the last digits, in
        which those of a batch that was joined may differ (docs/batching.md). Those of another seed are far away."""
        with torch.inference_mode(), one_thread():
            return torch.allclose(answer.outputs[0][1], self.model(inputs_of(seed))[0], rtol=1e-4, atol=1e-5)

    def expect(self, cloud_s: float, finish_s: float) -> None:
        """Other costs for the requests to come: of the suffix in the cloud and here."""
        entry = self.ready.entry
        costs = replace(entry.costs, cloud=AffineTime(0.0, cloud_s), local_finish=AffineTime(0.0, finish_s))
        self.ready = replace(self.ready, entry=replace(entry, costs=costs))

    async def usable(self, count: int) -> list[GuardedConnection]:
        """The connections, once there are so many."""
        return await until(lambda: list(self.around.replicas.able(self.ready.entry.plan.wire_digest)), count)


async def eventually(condition: Callable[[], bool]) -> None:
    """Returns once the condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < WAIT_S
        await asyncio.sleep(0.005)


async def until(have: Callable[[], Sequence[GuardedConnection]], count: int) -> list[GuardedConnection]:
    """What `have()` returns, once it has so many."""
    began = time.monotonic()
    while len(found := have()) != count:
        assert time.monotonic() - began < WAIT_S
        await asyncio.sleep(0.005)
    return list(found)


@contextlib.asynccontextmanager
async def edge_site(
    clouds: int = 1,
    *,
    prepare: bool = True,
    finish_s: float = 1e-3,
    kept_bytes: int = 1 << 20,
    hedging: Hedging | None = None,
    skips: bool = False,
    limits: NodeLimits = CLOUD_LIMITS,
    model: Model | None = None,
) -> AsyncIterator[Site]:
    """A site with its replicas connected. prepare: whether they have been offered the plan. skips: a plan with three
    boundary tensors, each sent as it is made, and the gate is behind the first. limits: of each replica. model: small,
    where nothing is said; its first two ops are the edge's."""
    model = skip_model() if skips else model or small_model()
    engine, pool, chooser = GatedEngine(), ComputePool(1), PlanChooser()
    if skips:
        engine.gated = lambda segment: getattr(segment, "inputs", ()) != model.graph.inputs
    ready = split_plan(
        model, engine, cloud_s=1e-3, finish_s=finish_s, ops=SKIP_OPS if skips else 2, early=(1, 2) if skips else ()
    )
    started = [await Cloud.start([model], f"replica-{number}", limits=limits) for number in range(clouds)]
    observer = ChooserObserver(chooser)

    async def dial(endpoint: Endpoint) -> SegmentClient:
        return await SegmentClient.connect(endpoint, "edge", observer, chooser.cloud_queue())

    async def welcome(connection: GuardedConnection) -> None:
        if prepare:
            await connection.prepare(plan_definition(ready.entry.plan))

    replicas = ReplicaSet(dial, welcome)
    around = Surroundings(
        PrefixQueue(pool, chooser.edge_queue(), at_once_s=0.0), replicas, chooser, ResumeSchedule(),
        ByteBudget(kept_bytes, "edge.kept_memory"), ResumeCounts(), itertools.count(1), chooser.way_up(),
        hedging or Hedging(),
    )  # fmt: skip
    site = Site(model, ready, around, started, engine.gate, engine, chooser)
    views = tuple(Replica(f"replica-{number}", Endpoint(cloud.target)) for number, cloud in enumerate(started))
    replicas.follow(FleetView(1, views))
    try:
        if prepare:
            await site.usable(clouds)
        chooser.observe_transfer(Transfer("up", 100_000, 0.01), time.monotonic())
        yield site
    finally:
        engine.gate.open()
        for cloud in started:
            await cloud.stop()
        await replicas.close()
        pool.close()


async def nobody_loads(name: str) -> LoadedModel:
    """For edges whose models stay loaded."""
    raise AssertionError(name)
