"""An edge without a cloud, asked for what takes it next to no time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from nodes.chooser import StageTimes
from nodes.cloud_connection import CloudConnection
from nodes.compute_pool import ComputePool
from nodes.edge_node import EdgeNode
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint
from nodes.gateway import InferRequest, InferResult
from nodes.inputs import ModelInputs
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_builder import PlanBuilder
from nodes.prefix_queue import PrefixQueue
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import inputs_of, nobody_loads, profile, small_model
from tests.nodes.test_resume import eventually


async def nobody(endpoint: Endpoint) -> CloudConnection:
    raise AssertionError(f"there is no cloud at {endpoint}")


class Pupil(PlanChooser):
    """Remembers its lessons."""

    def __init__(self) -> None:
        super().__init__()
        self.lessons = list[StageTimes]()

    def observe_stages(self, times: StageTimes) -> None:
        self.lessons.append(times)
        super().observe_stages(times)


@dataclass
class Alone:
    """An edge whose every prefix counts as short."""

    node: EdgeNode
    chooser: Pupil
    pool: ComputePool

    async def ask(self) -> InferResult:
        name = self.node.describe_model("small").inputs[0].name
        return await self.node.infer(InferRequest("small", ModelInputs({name: inputs_of(1)}, 1)))


@pytest.fixture
async def alone() -> AsyncIterator[Alone]:
    chooser = Pupil()
    with ComputePool() as pool:
        builder = await pool.run(PlanBuilder, small_model(), EagerEngine(), 1.0)
        shelf = ModelShelf({"small": LoadedModel(builder.model, builder)}, nobody_loads)
        node = EdgeNode(shelf, profile(), chooser, PrefixQueue(pool, chooser.edge_queue(), at_once_s=10.0), nobody)
        await node.start()
        yield Alone(node, chooser, pool)


async def test_a_short_request_needs_no_worker(alone: Alone) -> None:
    alone.pool.close()
    result = await alone.ask()
    assert (result.finished_by, alone.node.counts()["prefixes"]["executed"]) == ("edge", 1)


async def test_of_many_requests_that_follow_one_another_at_once_few_teach(alone: Alone) -> None:
    for _ in range(100):
        await alone.ask()
    await eventually(lambda: bool(alone.chooser.lessons))
    assert len(alone.chooser.lessons) < 50


async def test_every_answer_has_an_id_of_its_own(alone: Alone) -> None:
    ids = {(await alone.ask()).request_id for _ in range(20)}
    assert len(ids) == 20
    assert {len(one) for one in ids} == {32}


async def test_what_became_of_a_request_says_where_its_time_went(alone: Alone) -> None:
    result = await alone.ask()
    await eventually(lambda: alone.chooser.log.find(result.request_id)[1] is not None)
    _, outcome = alone.chooser.log.find(result.request_id)
    assert outcome is not None
    assert outcome.edge_s == result.timings.edge_s > 0
