"""What the batching benchmark sends to a replica: a closed loop that saturates it, or arrivals of their own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.batching_replica import ReplicaProcess, replica
from nodes.batching import BatchLimits
from nodes.codecs.base import EncodedTensor
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint
from nodes.halves import EdgeHalf
from nodes.inputs import ModelInputs
from nodes.measure.batch_times import varied_tensors
from nodes.model_runtime import plan_definition, wire_codecs
from nodes.plan_shapes import cut_plan
from nodes.protocol.edge_stream import WireRequest
from nodes.transport.segment_client import SegmentClient
from partitioner.model import Model
from partitioner.plan import Plan
from scheduler.estimators.load import CloudQueueEstimator

__all__ = ["Saturated", "Side", "side"]


class NobodyListens:
    """A LinkObserver: what the link does is of no interest here."""

    def uplink_bps(self) -> float | None:
        """See LinkObserver."""
        return None

    def downlink_bps(self) -> float | None:
        """See LinkObserver."""
        return None

    def rtt_measured(self, rtt_s: float) -> None:
        """See LinkObserver."""

    def transfer_measured(self, direction: str, size_bytes: int, span_s: float) -> None:
        """See LinkObserver."""

    def exchange_measured(self, up_bytes: int, down_bytes: int, wire_s: float) -> None:
        """See LinkObserver."""


@dataclass
class Side:
    """One replica, a stream to it, and the cloud-only request that goes there."""

    process: ReplicaProcess
    client: SegmentClient
    wire_digest: str
    tensors: tuple[EncodedTensor, ...]
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def ask(self) -> None:
        await self.client.run(WireRequest(next(self.ids), self.wire_digest, 1, self.tensors))

    async def saturated(self, in_flight: int, seconds: float) -> Saturated:
        """A closed loop: whoever is answered asks again."""
        over_s = time.perf_counter() + seconds

        async def loop() -> None:
            while time.perf_counter() < over_s:
                await self.ask()

        asking = [asyncio.create_task(loop()) for _ in range(in_flight)]
        await asyncio.sleep(0.2 * seconds)  # until the queue is as long as it gets
        before, started_s = await asyncio.to_thread(self.process.counts), time.perf_counter()
        await asyncio.sleep(over_s - time.perf_counter())
        after, took_s = await asyncio.to_thread(self.process.counts), time.perf_counter() - started_s
        await asyncio.gather(*asking)
        batches, requests = after.batches - before.batches, after.requests - before.requests
        return Saturated(took_s / batches, requests / batches, (after.busy_s - before.busy_s) / took_s)

    async def p99_s(self, gaps_s: Sequence[float]) -> float:
        """Poisson arrivals, whatever is still under way."""

        async def one() -> float:
            started_s = time.perf_counter()
            await self.ask()
            return time.perf_counter() - started_s

        asking = []
        next_s = time.perf_counter()
        for gap_s in gaps_s:
            next_s += gap_s
            await asyncio.sleep(max(0.0, next_s - time.perf_counter()))
            asking.append(asyncio.create_task(one()))
        took = sorted(await asyncio.gather(*asking))
        return took[min(len(took) - 1, int(0.99 * len(took)))]


@dataclass(frozen=True, slots=True)
class Saturated:
    """What a replica did under a closed loop. batch_s: wall time over batches; busy: the worker's share of it."""

    batch_s: float
    mean_size: float
    busy: float


@contextlib.asynccontextmanager
async def side(artifact: Path, model: Model, limits: BatchLimits) -> AsyncIterator[Side]:
    with contextlib.ExitStack() as stack:
        process = await asyncio.to_thread(stack.enter_context, replica(artifact, limits))
        plan = cut_plan(model, (), {})
        client = await SegmentClient.connect(Endpoint(process.address), "edge", NobodyListens(), CloudQueueEstimator())
        try:
            await client.prepare(plan_definition(plan))
            yield Side(process, client, plan.wire_digest, encoded(model, plan))
        finally:
            await client.close()


def encoded(model: Model, plan: Plan) -> tuple[EncodedTensor, ...]:
    half = EdgeHalf(model, (), wire_codecs(plan.boundary), wire_codecs(plan.downlink), EagerEngine())
    return half.run(ModelInputs(dict(zip(model.graph.inputs, varied_tensors(model, 1), strict=True)), 1)).encoded
