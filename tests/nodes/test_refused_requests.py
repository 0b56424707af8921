"""What an edge does for a request that it refuses at its turn."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from isthmus.errors import DeadlineUnreachable
from nodes.chooser import Choice, ChoiceRequest
from nodes.chooser_observer import ChooserObserver
from nodes.compute_pool import ComputePool
from nodes.edge_node import EdgeNode
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.gateway import InferRequest
from nodes.inputs import ModelInputs
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_builder import PlanBuilder
from nodes.prefix_queue import PrefixQueue
from nodes.transport.segment_client import SegmentClient
from scheduler.admission.control import AdmissionControl
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import Cloud, eventually, inputs_of, nobody_loads, profile, small_model

MODEL = small_model()
FOR_GOOD, FOR_OTHERS = DeadlineUnreachable("too little"), DeadlineUnreachable("full", retry_after_s=0.1)


class Recording(AdmissionControl):
    """Remembers who was crowded out."""

    crowded = 0

    def crowded_out(self, number: int, now_s: float) -> None:
        self.crowded += 1
        super().crowded_out(number, now_s)


class Refusing(PlanChooser):
    """Refuses every request so."""

    def __init__(self, error: DeadlineUnreachable) -> None:
        super().__init__()
        self.error = error

    def choose(self, request: ChoiceRequest) -> Choice:
        raise self.error

    def admission(self, queue: int, depth: int) -> Recording:
        self.gate = Recording(queue, depth)
        return self.gate


class Watched(SegmentClient):
    """Counts the requests that stayed."""

    stays = 0

    def stayed(self) -> None:
        Watched.stays += 1
        super().stayed()


@contextlib.asynccontextmanager
async def refusing(chooser: Refusing) -> AsyncIterator[EdgeNode]:
    """An edge with one replica."""
    cloud, pool, observer = await Cloud.start([MODEL], "cloud"), ComputePool(1), ChooserObserver(chooser)
    builder = await pool.run(PlanBuilder, MODEL, EagerEngine(threads=1), 1.0)

    async def dial(endpoint: Endpoint) -> SegmentClient:
        return await Watched.connect(endpoint, "edge", observer, chooser.cloud_queue())

    shelf = ModelShelf({"small": LoadedModel(builder.model, builder)}, nobody_loads)
    node = EdgeNode(shelf, profile(), chooser, PrefixQueue(pool, chooser.edge_queue(), at_once_s=0.0), dial)
    await node.start()
    node.replicas.follow(FleetView(1, (Replica("cloud", Endpoint(cloud.target)),)))
    try:
        await eventually(lambda: bool(node.replicas.prepared()))
        yield node
    finally:
        await cloud.stop()
        await node.drain(1.0)
        pool.close()


async def ask(node: EdgeNode) -> None:
    await node.infer(InferRequest("small", ModelInputs({MODEL.graph.inputs[0]: inputs_of(1)}, 1), 5.0))


async def test_its_link_is_looked_at_all_the_same() -> None:
    async with refusing(Refusing(FOR_GOOD)) as node:
        before = Watched.stays
        with pytest.raises(DeadlineUnreachable):
            await ask(node)
        assert Watched.stays == before + 1


@pytest.mark.parametrize(("error", "crowded"), [(FOR_GOOD, 0), (FOR_OTHERS, 1)], ids=["for good", "for others"])
async def test_the_admission_is_told_of_one_that_others_kept_out(error: DeadlineUnreachable, crowded: int) -> None:
    chooser = Refusing(error)
    async with refusing(chooser) as node:
        with pytest.raises(DeadlineUnreachable):
            await ask(node)
        assert chooser.gate.crowded == crowded
        assert node.gate.counts.running == 0
