"""An edge with several models, and replicas that cannot prepare some of them, or take for ever over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from isthmus.errors import CloudUnavailable, ComputeFailed, Overloaded, Unavailable
from nodes import circuit_breaker, model_planning
from nodes.chooser_observer import ChooserObserver
from nodes.cloud_node import CloudNode
from nodes.compute_pool import ComputePool
from nodes.edge_memory import EdgeMemory
from nodes.edge_node import EdgeNode
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint, FleetView, Replica
from nodes.gateway import InferRequest
from nodes.guarded_connection import GuardedConnection
from nodes.inputs import ModelInputs
from nodes.model_loading import measured_profile
from nodes.model_runtime import plan_definition
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_builder import PlanBuilder
from nodes.plan_offers import CloudTimes, Prepare, cloud_times
from nodes.plan_shapes import cut_plan
from nodes.plan_source import PlanSource
from nodes.prefix_queue import PrefixQueue
from nodes.preparing import PreparingWork
from nodes.protocol.events import PlanDefinition, PlanTimes
from nodes.settings import EdgeSettings
from nodes.transport.segment_client import SegmentClient
from partitioner.model import Model
from partitioner.plan import Plan
from partitioner.plan_table import PlanTable
from partitioner.profiles import DeviceProfile
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import Cloud, GatedEngine, eventually, inputs_of, small_model

FIRST, SECOND = small_model(0, "first"), small_model(1, "second")
NEXT = small_model(2, "second")


class PickyNode(CloudNode):
    """A cloud node that fails to prepare some models or plans, and takes until told over others. failing, slow: by
    digest."""

    failing: Collection[str] = ()
    slow: Collection[str] = ()
    error: Exception = ComputeFailed("a segment raised while it was measured")
    offers: tuple[str, ...] = ()

    def was_offered(self, model: Model) -> bool:
        return model.digest in self.offers

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        self.offers += (offer.model_digest,)
        await eventually(lambda: offer.model_digest not in self.slow)
        if not {offer.model_digest, offer.wire_digest}.isdisjoint(self.failing):
            raise self.error
        return await super().prepare(offer)


@pytest.fixture(scope="module")
def measured() -> DeviceProfile:
    with ComputePool(1) as pool:
        return asyncio.run(measured_profile({one.name: one for one in (FIRST, SECOND)}, EagerEngine(threads=1), pool))


@dataclass
class Site:
    """An edge of both models, and replicas of those and the next version of the second."""

    edge: EdgeNode
    clouds: tuple[Cloud, ...]

    @property
    def replica(self) -> PickyNode:
        """The first one."""
        return self.node(0)

    def node(self, number: int) -> PickyNode:
        node = self.clouds[number].node
        assert isinstance(node, PickyNode)
        return node

    def connect(self, replicas: int = 1) -> None:
        named = (Replica(cloud.node.describe().replica_id, Endpoint(cloud.target)) for cloud in self.clouds[:replicas])
        self.edge.replicas.follow(FleetView(1, tuple(named)))

    async def connected(self) -> GuardedConnection:
        """The only connection, once it is there."""
        await eventually(lambda: len(self.edge.replicas.connections) == 1)
        (connection,) = self.edge.replicas.connections
        return connection

    async def finisher(self, model: Model, policy: str = "cloud-only") -> str:
        inputs = ModelInputs({model.graph.inputs[0]: inputs_of(1)}, 1)
        answer = await self.edge.infer(InferRequest(model.name, inputs, 30.0, policy=policy))
        with torch.inference_mode():
            assert torch.equal(answer.outputs[0][1], model(inputs_of(1))[0])
        return answer.finished_by


@pytest.fixture
async def site(measured: DeviceProfile, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(model_planning, "AGAIN_S", (0.05, 0.1))
    pool, chooser = ComputePool(1), PlanChooser()
    models = {model.name: LoadedModel(model, builder_of(model)) for model in (FIRST, SECOND)}
    observer = ChooserObserver(chooser)

    async def dial(endpoint: Endpoint) -> SegmentClient:
        return await SegmentClient.connect(endpoint, "edge", observer, chooser.cloud_queue())

    async def load(name: str) -> LoadedModel:
        return models[name]

    queue = PrefixQueue(pool, chooser.edge_queue(), at_once_s=0.0)
    edge = EdgeNode(ModelShelf(models, load), measured, chooser, queue, dial)
    await edge.start()
    models_there = [FIRST, SECOND, NEXT]
    clouds = [await Cloud.start(models_there, f"replica-{number}", PickyNode, most_models=3) for number in range(2)]
    yield Site(edge, tuple(clouds))
    for cloud in clouds:
        await cloud.stop()
    await edge.drain(1.0)
    pool.close()


def builder_of(model: Model) -> PlanBuilder:
    return PlanBuilder(model, EagerEngine(threads=1), 1.0)


@pytest.mark.parametrize("error", [ComputeFailed("raised"), Overloaded("no room"), RuntimeError("of the model's own")])
async def test_a_model_that_a_replica_cannot_prepare_takes_no_other_away_and_is_offered_again(
    site: Site, error: Exception
) -> None:
    site.replica.failing, site.replica.error = {SECOND.digest}, error
    site.connect()
    connection = await site.connected()
    assert await site.finisher(FIRST) == "cloud"
    assert await site.finisher(SECOND, "") == "edge"
    site.replica.failing = set()
    await eventually(lambda: not site.edge.runtime("second").wire_digests.isdisjoint(connection.prepared))
    assert await site.finisher(SECOND) == "cloud"
    assert site.edge.replicas.connections == (connection,)


@pytest.mark.parametrize("error", [ComputeFailed("raised"), Overloaded("no room")])
async def test_one_plan_that_a_replica_cannot_prepare_now_is_offered_again(site: Site, error: Exception) -> None:
    site.connect(1)
    connection = await site.connected()
    plans = [plan.entry.plan for plan in site.edge.runtime("first").plans if plan.entry.plan.kind != "edge-only"]
    site.node(1).failing, site.node(1).error = {plans[0].wire_digest}, error
    site.connect(2)
    await eventually(lambda: len(site.edge.replicas.connections) == 2)
    second = next(one for one in site.edge.replicas.connections if one is not connection)
    assert not second.runs(plans[0].wire_digest)
    site.node(1).failing = set()
    await eventually(lambda: second.runs(plans[0].wire_digest))


async def test_an_edges_table_says_by_what_times_the_replica_makes_batches(site: Site) -> None:
    site.connect()
    connection = await site.connected()
    table = PlanTable.from_json(site.edge.runtime("first").table.to_json())
    crossing = [entry for entry in table.entries if entry.plan.kind != "edge-only"]
    told = [await connection.prepare(plan_definition(entry.plan)) for entry in crossing]
    assert [entry.costs.suffix_s for entry in crossing] == [times.suffix_s for times in told]
    assert {entry.costs.suffix_s[0][0] for entry in crossing} == {1}


async def test_a_replica_that_can_prepare_no_model_is_of_no_use(site: Site) -> None:
    site.replica.failing = {FIRST.digest, SECOND.digest}
    site.connect()
    await eventually(lambda: site.replica.was_offered(SECOND))
    assert await site.finisher(FIRST, "") == "edge"
    site.replica.failing = set()
    await site.connected()


async def test_models_come_and_go_while_a_replica_takes_for_ever_over_one(site: Site) -> None:
    site.replica.slow = {SECOND.digest}
    site.connect()
    await eventually(lambda: site.replica.was_offered(SECOND))
    async with asyncio.timeout(20):
        await site.edge.unload_model("first")
        await site.edge.load_model("first")
        await site.edge.switch_model(LoadedModel(NEXT, builder_of(NEXT)))
    assert await site.finisher(NEXT, "") == "edge"
    site.replica.slow = set()
    connection = await site.connected()
    await eventually(lambda: len(connection.prepared & site.edge.runtime("second").wire_digests) > 0)
    assert await site.finisher(NEXT) == "cloud"


async def test_what_a_replica_has_prepared_stays_on_offer_while_it_prepares_more(site: Site) -> None:
    site.replica.slow = {SECOND.digest}
    site.connect()
    await eventually(lambda: site.replica.was_offered(SECOND))
    plans = [plan.entry.plan for plan in site.edge.runtime("first").plans]
    one = next(plan.wire_digest for plan in plans if plan.kind != "edge-only")
    site.node(1).failing = {one}  # it takes the others
    site.connect(2)
    await site.connected()
    site.replica.slow = set()
    await eventually(lambda: len(site.edge.replicas.connections) == 2)
    assert one in site.edge.runtime("first").wire_digests


async def test_what_a_replica_has_prepared_stays_on_offer_while_its_breaker_is_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_OPEN_S", "LONGEST_OPEN_S"):
        monkeypatch.setattr(circuit_breaker, name, 600.0)
    site.connect()
    connection = await site.connected()
    one = next(plan.entry.plan for plan in site.edge.runtime("first").plans if plan.entry.plan.kind != "edge-only")
    site.node(1).failing = {one.wire_digest}  # it takes the others
    for _ in range(circuit_breaker.FAILURES_TO_OPEN):
        connection.at_fault()
    site.connect(2)
    await eventually(lambda: len(site.edge.replicas.connections) == 2)
    assert not connection.open
    assert one.wire_digest in site.edge.runtime("first").wire_digests


async def test_what_a_replica_forgot_and_is_offered_again_stays_on_offer_meanwhile(site: Site) -> None:
    site.connect()
    connection = await site.connected()
    one = next(plan.entry.plan for plan in site.edge.runtime("first").plans if plan.entry.plan.kind != "edge-only")
    site.replica.slow = {FIRST.digest}
    connection.prepared -= {one.wire_digest}
    connection.offer_soon(plan_definition(one))
    site.node(1).failing = {one.wire_digest}
    site.connect(2)
    await eventually(lambda: len(site.edge.replicas.connections) == 2)
    assert one.wire_digest in site.edge.runtime("first").wire_digests
    site.replica.slow = set()
    await eventually(lambda: connection.runs(one.wire_digest))


async def test_planning_goes_on_after_what_nobody_planned(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = [ComputeFailed("a segment raised while it was measured"), RuntimeError("nobody planned this")]

    async def ending(prepare: Prepare, offers: Mapping[str, Plan]) -> CloudTimes:
        if ends and {plan.model_digest for plan in offers.values()} == {SECOND.digest}:
            raise ends.pop(0)
        return await cloud_times(prepare, offers)

    monkeypatch.setattr(model_planning, "cloud_times", ending)
    site.connect()
    connection = await site.connected()
    await eventually(lambda: not site.edge.runtime("second").wire_digests.isdisjoint(connection.prepared))
    assert not ends


async def test_a_version_whose_plans_its_replicas_cannot_prepare_is_not_switched_to(site: Site) -> None:
    site.replica.failing = {NEXT.digest}
    site.connect()
    await site.connected()
    with pytest.raises(CloudUnavailable, match="no plan could be prepared"):
        await site.edge.switch_model(LoadedModel(NEXT, builder_of(NEXT)))
    assert await site.finisher(SECOND) == "cloud"


async def test_a_model_that_goes_while_it_is_switched_stays_away(site: Site) -> None:
    site.connect()
    await site.connected()
    site.replica.slow = {NEXT.digest}
    switching = asyncio.create_task(site.edge.switch_model(LoadedModel(NEXT, builder_of(NEXT))))
    await eventually(lambda: site.replica.was_offered(NEXT))
    await site.edge.unload_model("second")
    site.replica.slow = set()
    with pytest.raises(Unavailable, match="unloaded or switched meanwhile"):
        await switching
    assert [one.state for one in site.edge.models()] == ["READY", "UNAVAILABLE"]


async def test_a_model_that_is_unloaded_stays_so_and_is_of_the_new_version_when_it_is_loaded(site: Site) -> None:
    await site.edge.unload_model("second")
    await site.edge.switch_model(LoadedModel(NEXT, builder_of(NEXT)))
    assert [one.state for one in site.edge.models()] == ["READY", "UNAVAILABLE"]
    with pytest.raises(Unavailable, match="its artifact has changed"):
        await site.edge.load_model("second")  # what this edge's artifacts hold is the version before


async def test_a_version_that_was_not_switched_to_leaves_nothing_behind(site: Site) -> None:
    site.replica.failing = {NEXT.digest}
    site.connect()
    await site.connected()
    with pytest.raises(CloudUnavailable):
        await site.edge.switch_model(LoadedModel(NEXT, builder_of(NEXT)))
    measured = site.edge._planning.plans._measured
    assert {key[1] for key in measured if key[0] == "second"} == {SECOND.digest}


async def test_an_unload_is_done_though_whoever_asked_for_it_has_left(site: Site) -> None:
    planning = site.edge._planning
    async with planning._building:
        unloading = asyncio.create_task(site.edge.unload_model("second"))
        await eventually(lambda: site.edge.models()[1].state == "UNAVAILABLE")
        unloading.cancel()
        await asyncio.sleep(0)
    await eventually(lambda: "second" not in planning._shelf.builders)
    with pytest.raises(asyncio.CancelledError):
        await unloading


async def test_a_plan_whose_half_raises_on_the_edge_is_left_out_and_tried_at_the_next_start(
    measured: DeviceProfile, tmp_path: Path
) -> None:
    ops = tuple(op.name for op in FIRST.graph.ops)
    given = [cut_plan(FIRST, ops[:length], {}, "zstd") for length in (1, 2)]
    boundary = tuple(tensor.tensor for tensor in given[0].boundary)
    engine = GatedEngine(failing=True, gated=lambda segment: getattr(segment, "outputs", ()) == boundary)
    memory = EdgeMemory.of(EdgeSettings((), "127.0.0.1:0", "", memory_folder=str(tmp_path)), engine)
    with ComputePool(1) as pool:
        for fails in (True, False):
            engine.failing = fails
            builder = PlanBuilder(FIRST, engine, 1.0, given)
            ready = await PlanSource(PreparingWork(pool), measured, memory).with_cloud(builder, measured)
            cuts = {plan.entry.plan.edge_ops for plan in ready}
            assert cuts >= {(), ops[:2]}
            assert (ops[:1] in cuts) is not fails
