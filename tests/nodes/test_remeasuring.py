"""An edge measures its plans again while it has nothing else to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nodes.compute_pool import ComputePool
from nodes.drift import Drift
from nodes.edge_memory import EdgeMemory
from nodes.edge_node import EdgeNode
from nodes.gateway import InferRequest, InferResult
from nodes.inputs import ModelInputs
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_builder import PlanBuilder
from nodes.prefix_queue import PrefixQueue
from nodes.remeasuring import Remeasuring
from nodes.settings import EdgeSettings
from partitioner.measurements import AffineTime
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import GatedEngine, eventually, inputs_of, nobody_loads, profile, small_model
from tests.nodes.test_edge_node import nobody

WRONG = AffineTime(5.0, 0.0)


@dataclass
class Alarmed:
    """Implements Drifting: an alarm of the edge's side until its plans are measured again."""

    stands: bool = False
    fresh: list[str] = field(default_factory=list)

    def drifts(self, now_s: float) -> tuple[Drift, ...]:
        return (Drift("small", "p", "edge-only", "edge", 2.0, 0.0),) if self.stands else ()

    def edge_measured_again(self, plan_ids: Collection[str]) -> None:
        self.stands = False
        self.fresh.extend(plan_ids)


@dataclass
class Edge:
    """A node of a small model whose costs are wrong, without a cloud."""

    node: EdgeNode
    engine: GatedEngine
    alarm: Alarmed
    remeasuring: Remeasuring
    builder: PlanBuilder
    memory: EdgeMemory

    @property
    def costs_s(self) -> list[float]:
        return [plan.entry.costs.edge.at(1) for plan in self.node.plans()]

    async def ask(self) -> InferResult:
        name = self.node.describe_model("small").inputs[0].name
        return await self.node.infer(InferRequest("small", ModelInputs({name: inputs_of(1)}, 1)))


@pytest.fixture
async def edge(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Edge]:
    """The parameter: how many threads compute."""
    engine, alarm = GatedEngine(), Alarmed()
    memory = EdgeMemory.of(EdgeSettings((), "127.0.0.1:0", "", memory_folder=str(tmp_path)), engine)
    with ComputePool(workers=getattr(request, "param", 1)) as pool:
        builder = await pool.run(PlanBuilder, small_model(), engine, 1.0)
        shelf = ModelShelf({"small": LoadedModel(builder.model, builder)}, nobody_loads)
        queue, chooser = PrefixQueue(pool, PlanChooser().edge_queue(), at_once_s=0.0), PlanChooser()
        node = EdgeNode(shelf, profile(), chooser, queue, nobody, memory=memory)
        await node.start()
        runtime = node.runtime("small")
        wrong = (
            replace(one, entry=replace(one.entry, costs=replace(one.entry.costs, edge=WRONG))) for one in runtime.plans
        )
        runtime.offer(tuple(wrong))
        remeasuring = Remeasuring(node, alarm, look_s=0.01)
        remeasuring.start()
        yield Edge(node, engine, alarm, remeasuring, builder, memory)
        engine.gate.open()
        await remeasuring.stop()
        await node.drain(1.0)


async def test_an_alarm_has_the_plans_measured_and_offered_with_what_was_found(edge: Edge) -> None:
    edge.alarm.stands = True
    await eventually(lambda: edge.remeasuring.state.count == 1)
    assert all(0 < cost_s < 1.0 for cost_s in edge.costs_s)
    assert edge.alarm.fresh == [plan.entry.plan.plan_id for plan in edge.node.plans()]
    assert (await edge.ask()).finished_by == "edge"


async def test_what_was_found_is_remembered_for_the_next_start(edge: Edge) -> None:
    before = edge.memory.plans(edge.builder.identity, None)
    edge.remeasuring.order()
    await eventually(lambda: edge.remeasuring.state.count == 1)
    kept = edge.memory.plans(edge.builder.identity, None)
    assert [one.entry for one in kept] == [plan.entry for plan in edge.node.plans()] != [one.entry for one in before]


async def test_an_alarm_that_comes_back_at_once_is_not_followed_at_once(edge: Edge) -> None:
    edge.alarm.stands = True
    await eventually(lambda: edge.remeasuring.state.count == 1)
    edge.alarm.stands = True
    await asyncio.sleep(0.1)  # ten looks
    assert (edge.remeasuring.state.count, edge.remeasuring.state.standing) == (1, "")
    assert edge.remeasuring.order()  # an operator's order is
    await eventually(lambda: edge.remeasuring.state.count == 2)


@pytest.mark.parametrize("edge", [2], indirect=True)  # with one the request itself would keep it off
async def test_while_a_request_is_here_nothing_is_measured(edge: Edge) -> None:
    gate = edge.engine.gate
    gate.shut()
    came = gate.came
    asked = asyncio.create_task(edge.ask())
    await eventually(lambda: gate.came == came + 1)
    assert edge.remeasuring.order()
    await eventually(lambda: edge.remeasuring.state.standing == "measuring")
    assert not edge.remeasuring.order()
    await asyncio.sleep(0.1)
    assert gate.came == came + 1
    gate.open()
    await asked
    await eventually(lambda: edge.remeasuring.state.count == 1)


@pytest.mark.parametrize("edge", [2], indirect=True)
async def test_alarms_are_told_while_it_waits_until_it_is_quiet(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[tuple[object, ...]]()
    monkeypatch.setattr(edge.remeasuring, "_tell", lambda drifts: told.append(tuple(drifts)))
    gate = edge.engine.gate
    gate.shut()
    asked = asyncio.create_task(edge.ask())
    await eventually(lambda: edge.node.waiting == 1)
    edge.remeasuring.order()
    await eventually(lambda: edge.remeasuring.state.standing == "measuring")
    looks = len(told)
    await eventually(lambda: len(told) >= looks + 3)
    assert edge.remeasuring.state.standing == "measuring"
    gate.open()
    await asked


async def test_a_request_that_comes_meanwhile_waits_for_one_run_at_most(edge: Edge) -> None:
    gate = edge.engine.gate
    gate.shut()
    came = gate.came
    edge.remeasuring.order()
    await eventually(lambda: gate.came == came + 1)  # a run is under way
    asked = asyncio.create_task(edge.ask())
    await eventually(lambda: edge.node.waiting == 1)
    gate.open()
    await asked
    assert gate.came == came + 2
    await eventually(lambda: edge.remeasuring.state.count == 1)
