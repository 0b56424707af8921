"""An edge without a cloud, asked for what takes it next to no time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.errors import DeadlineUnreachable, NotFound, Shed
from nodes.admission import Arriving
from nodes.chooser import Refused, StageTimes
from nodes.cloud_connection import CloudConnection
from nodes.compute_pool import ComputePool
from nodes.edge_node import EdgeNode
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint
from nodes.gateway import InferRequest, InferResult
from nodes.inputs import ModelInputs
from nodes.limits import EDGE_LIMITS
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_builder import PlanBuilder
from nodes.prefix_queue import PrefixQueue
from scheduler.decision_log import Decision
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import eventually, inputs_of, nobody_loads, profile, small_model


async def nobody(endpoint: Endpoint) -> CloudConnection:
    raise AssertionError(f"there is no cloud at {endpoint}")


class Pupil(PlanChooser):
    """Remembers its lessons, and whom it was told of that was refused."""

    def __init__(self) -> None:
        super().__init__()
        self.lessons, self.refusals = list[StageTimes](), list[Refused]()

    def observe_refusal(self, refused: Refused) -> None:
        self.refusals.append(refused)
        super().observe_refusal(refused)

    def observe_stages(self, times: StageTimes) -> None:
        self.lessons.append(times)
        super().observe_stages(times)


@dataclass
class Alone:
    """An edge whose every prefix counts as short."""

    node: EdgeNode
    chooser: Pupil
    pool: ComputePool

    async def ask(self, **wishes: Any) -> InferResult:
        name = self.node.describe_model("small").inputs[0].name
        return await self.node.infer(InferRequest("small", ModelInputs({name: inputs_of(1)}, 1), **wishes))


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


async def test_a_request_that_no_plan_is_chosen_for_is_told_as_it_came(alone: Alone) -> None:
    with pytest.raises(NotFound):
        await alone.ask(plan_id="0" * 16, priority=2, client="camera", request_class="alarm", timeout_s=5.0)
    (refused,) = alone.chooser.refusals
    assert (refused.model, refused.form, refused.batch, refused.plan_id) == ("small", "tensor", 1, "0" * 16)
    assert (refused.priority, refused.client, refused.request_class, refused.timeout_s) == (2, "camera", "alarm", 5.0)
    assert "has none such" in refused.failure
    with pytest.raises(DeadlineUnreachable):
        await alone.ask(timeout_s=1e-6)
    assert len(alone.chooser.refusals) == 2
    await alone.ask()
    assert len(alone.chooser.refusals) == 2


async def test_a_request_that_its_policy_refused_is_explained_by_its_id(alone: Alone) -> None:
    await alone.ask()
    with pytest.raises(DeadlineUnreachable) as refused:
        await alone.ask(timeout_s=1e-6, request_id="r1")
    told = json.loads(alone.chooser.explain("r1"))
    assert told["failure"] == str(refused.value) == alone.chooser.refusals[-1].failure
    assert (told["policy"]["name"], told["request"]["remaining_s"] <= 1e-6) == ("latency", True)
    assert [one["name"] for one in told["candidates"]] == ["edge-only"]
    assert alone.chooser.refusals[-1].request_id == "r1"


async def test_a_decision_knows_when_its_request_came_and_whose_it_is(alone: Alone) -> None:
    result = await alone.ask(priority=3, client="camera")
    decision, _ = alone.chooser.log.find(result.request_id)
    assert isinstance(decision, Decision)
    request = decision.request
    assert (request.priority, request.client) == (3, "camera")
    assert request.came_s is not None
    assert 0.0 < request.came_s <= request.now_s
    assert result.waited_s == request.waited_s


async def test_only_what_might_use_a_replica_wants_one(alone: Alone) -> None:
    wanted = list[str]()
    alone.node.want_cloud = lambda: wanted.append("one")
    await alone.ask(policy="edge-only")
    with pytest.raises(NotFound):
        await alone.ask(policy="no-such-policy")
    assert wanted == []
    await alone.ask()
    with pytest.raises(DeadlineUnreachable):  # a replica may be quick enough for the next
        await alone.ask(timeout_s=1e-6)
    assert wanted == ["one", "one"]


async def test_what_is_not_let_in_wants_no_replica(alone: Alone) -> None:
    wanted = list[str]()
    alone.node.want_cloud = lambda: wanted.append("one")
    room = [alone.node.gate.enter(Arriving("", 0, None, 0.0, "small")) for _ in range(EDGE_LIMITS.queue)]
    held = [asyncio.ensure_future(one) for one in room]
    await asyncio.sleep(0)
    with pytest.raises(Shed):
        await alone.ask()
    for one in held:
        one.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    assert wanted == []
