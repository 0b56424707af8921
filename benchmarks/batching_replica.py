"""A cloud replica in a process of its own, its engine on one core and all else of it on another."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from isthmus.telemetry import configure_logging
from nodes.batching import BatchLimits
from nodes.cloud_models import CloudModels
from nodes.cloud_node import CloudNode
from nodes.compute_pool import ComputePool
from nodes.engine_queue import BatchCounts
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.eager import EagerEngine
from nodes.measure.batch_times import boundary_sample
from nodes.measure.device_profile import measure_device
from nodes.transport.segment_server import SegmentService
from partitioner.artifact import load_artifact
from partitioner.model import Model

__all__ = ["ENGINE_CORE", "OTHER_CORE", "ReplicaProcess", "replica"]

ENGINE_CORE, OTHER_CORE = 1, 0


@dataclass(frozen=True, slots=True)
class ReplicaProcess:
    """A running replica. address: of its segment service."""

    address: str
    pipe: Connection

    def counts(self) -> BatchCounts:
        """Batches so far."""
        self.pipe.send(("counts", 0, 0.0))
        return BatchCounts(*self.pipe.recv())

    def raw_batch_s(self, batch: int, seconds: float) -> float:
        """Seconds a batch of the whole model takes on the engine's own thread in a bare loop of about `seconds`."""
        self.pipe.send(("raw", batch, seconds))
        return float(self.pipe.recv())


@contextlib.contextmanager
def replica(artifact: Path, limits: BatchLimits) -> Iterator[ReplicaProcess]:
    """The model of `artifact`, served until the block ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_main, args=(theirs, artifact, limits), daemon=True)
    child.start()
    try:
        yield ReplicaProcess(str(ours.recv()), ours)
    finally:
        child.kill()
        child.join()


def _main(pipe: Connection, artifact: Path, limits: BatchLimits) -> None:
    os.sched_setaffinity(0, {OTHER_CORE})
    configure_logging("warning")
    keep_freed_memory()
    asyncio.run(_serve(pipe, artifact, limits))


async def _serve(pipe: Connection, artifact: Path, limits: BatchLimits) -> None:
    pool, engine, model = ComputePool(1, name="suffix"), EagerEngine(), load_artifact(artifact)
    await pool.run(os.sched_setaffinity, 0, {ENGINE_CORE})
    profile = await pool.run(measure_device, 0.1, engine, ["zstd"])
    node = CloudNode("replica", CloudModels.holding({model.name: model}, engine), pool, profile, limits)
    server = SegmentService(node).server()
    pipe.send(await server.start("127.0.0.1:0", "listen"))
    while True:
        what, batch, seconds = await asyncio.to_thread(pipe.recv)
        if what == "counts":
            counts = node.batch_counts
            pipe.send((counts.batches, counts.requests, counts.busy_s))
        else:
            pipe.send(await pool.run(_raw_batch_s, model, batch, seconds))


def _raw_batch_s(model: Model, batch: int, seconds: float) -> float:
    runner = EagerEngine().load(model.split(()).cloud)
    tensors = boundary_sample(model, (), batch)
    runner(*tensors)
    started_s = time.perf_counter()
    for count in itertools.count(1):
        runner(*tensors)
        if time.perf_counter() - started_s > seconds:
            return (time.perf_counter() - started_s) / count
    raise AssertionError("the loop above ends by returning")
