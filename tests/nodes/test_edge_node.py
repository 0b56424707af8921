"""An edge without a cloud, asked for what takes it next to no time."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.errors import DeadlineExceeded, DeadlineUnreachable, NotFound, Shed
from nodes.admission import Arriving
from nodes.chooser import Choice, ChoiceRequest, Refused, StageTimes
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
from nodes.request_overhead import RequestOverhead
from nodes.steering import EVERYTHING, Canary, PolicySetting, Steering
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


def unreachable(alone: Alone) -> None:
    """Nothing is answered within a microsecond, however unsure its costs are: the first ones' may be off by more than
    they take."""
    alone.node.overhead = RequestOverhead(60.0, 0.0, 1, "")


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


async def test_what_choosing_takes_is_of_the_requests_own_time(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = alone.chooser.choose

    def slowly(request: ChoiceRequest) -> Choice:
        time.sleep(0.2)
        return choose(request)

    monkeypatch.setattr(alone.chooser, "choose", slowly)
    timings = (await alone.ask()).timings
    assert timings.edge_queue_s >= 0.2
    await eventually(lambda: bool(alone.chooser.lessons))
    assert alone.chooser.lessons[-1].besides_s == timings.edge_queue_s  # not told twice
    with pytest.raises(DeadlineExceeded):
        await alone.ask(timeout_s=0.1)
    counts = alone.node.counts()["prefixes"]
    assert (counts["executed"], counts["expired_unexecuted"]) == (1, 1)


async def test_a_request_that_no_plan_is_chosen_for_is_told_as_it_came(alone: Alone) -> None:
    with pytest.raises(NotFound):
        await alone.ask(plan_id="0" * 16, priority=2, client="camera", request_class="alarm", timeout_s=5.0)
    (refused,) = alone.chooser.refusals
    assert (refused.model, refused.form, refused.batch, refused.plan_id) == ("small", "tensor", 1, "0" * 16)
    assert (refused.priority, refused.client, refused.request_class, refused.timeout_s) == (2, "camera", "alarm", 5.0)
    assert "has none such" in refused.failure
    unreachable(alone)
    with pytest.raises(DeadlineUnreachable):
        await alone.ask(timeout_s=1e-6)
    assert len(alone.chooser.refusals) == 2
    await alone.ask()
    assert len(alone.chooser.refusals) == 2


def decide_within(alone: Alone, deadline_s: float) -> None:
    alone.chooser.steer(Steering({EVERYTHING: PolicySetting("slo", {"deadline": deadline_s})}))


async def test_the_deadline_of_its_policy_refuses_a_request_that_states_none(alone: Alone) -> None:
    unreachable(alone)
    decide_within(alone, 1e-6)
    with pytest.raises(DeadlineUnreachable):
        await alone.ask()
    with pytest.raises(DeadlineUnreachable):
        await alone.ask(timeout_s=5.0)
    assert [(one.timeout_s, one.asked_s) for one in alone.chooser.refusals[-2:]] == [(1e-6, None), (1e-6, 5.0)]
    assert (await alone.ask(policy="latency")).finished_by == "edge"
    assert (await alone.ask(plan_id="edge-only")).finished_by == "edge"


async def test_a_canarys_requests_have_its_deadline_and_are_counted_as_its(alone: Alone) -> None:
    await alone.ask()
    standing, canary = (PolicySetting("slo", {"deadline": deadline_s}) for deadline_s in (9.0, 5.0))
    alone.chooser.steer(Steering({EVERYTHING: standing}, canary=Canary(canary, 0.5)))
    before, told = Counter(alone.node.decisions), Counter[str]()
    for _ in range(8):
        result = await alone.ask()
        decision, _ = alone.chooser.log.find(result.request_id)
        assert isinstance(decision, Decision)
        assert decision.request.remaining_s == pytest.approx(5.0 if decision.policy == canary else 9.0, abs=1.0)
        told[result.policy] += 1
    assert told == {"slo": 4, "slo (canary)": 4}
    assert Counter(alone.node.decisions) - before == {(policy, "edge-only"): 4 for policy in told}


@pytest.mark.parametrize(("own_s", "left_s"), [(None, 5.0), (9.0, 5.0), (3.0, 3.0)])
async def test_the_sooner_of_both_deadlines_is_what_the_edge_promises(
    alone: Alone, own_s: float | None, left_s: float
) -> None:
    decide_within(alone, 5.0)
    result = await alone.ask(timeout_s=own_s)
    decision, _ = alone.chooser.log.find(result.request_id)
    assert isinstance(decision, Decision)
    assert decision.request.remaining_s == pytest.approx(left_s, abs=1.0)
    assert decision.request.asked_s == own_s
    assert decision.request.spare_s is not None


async def test_a_request_that_its_policy_refused_is_explained_by_its_id(alone: Alone) -> None:
    unreachable(alone)
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


async def test_who_decided_holds_no_name_of_a_plan_that_a_client_asked_for(alone: Alone) -> None:
    """It is a label of metrics."""
    plan_id = (await alone.ask()).plan_id
    before = set(alone.node.decisions)
    for wishes in ({"plan_id": plan_id}, {"policy": f"fixed:{plan_id}"}, {"policy": "fixed:edge-only"}):
        assert (await alone.ask(**wishes)).policy == "fixed"
    assert set(alone.node.decisions) - before == {("fixed", "edge-only")}


async def test_only_what_might_use_a_replica_wants_one(alone: Alone) -> None:
    wanted = list[str]()
    alone.node.want_cloud = lambda: wanted.append("one")
    await alone.ask(policy="edge-only")
    with pytest.raises(NotFound):
        await alone.ask(policy="no-such-policy")
    assert (wanted, alone.node.without_replica) == ([], 0)
    await alone.ask()
    unreachable(alone)
    with pytest.raises(DeadlineUnreachable):  # a replica may be quick enough for the next
        await alone.ask(timeout_s=1e-6)
    assert (wanted, alone.node.without_replica) == (["one", "one"], 2)


@pytest.mark.parametrize(
    ("policy", "deadline_s", "missed"),
    [("cost", None, 0), ("slo", None, 0), ("slo", 5.0, 1), ("edge-only", 5.0, 0), ("latency", None, 1)],
)
async def test_a_replica_is_missed_where_who_decides_might_use_one(
    alone: Alone, policy: str, deadline_s: float | None, missed: int
) -> None:
    options = {"price": 1.0} if policy == "cost" else {}
    alone.chooser.steer(Steering({EVERYTHING: PolicySetting(policy, options)}))
    await alone.ask(timeout_s=deadline_s)
    assert alone.node.without_replica == missed


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
