"""A replica's work when requests queue: real codecs, engine and pool; only the stream is left out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor, nn

from isthmus.errors import (
    ComputeFailed,
    DeadlineExceeded,
    InvalidPlan,
    InvalidRequest,
    NotFound,
    Overloaded,
    PlanAway,
    Unavailable,
    UnknownPlan,
)
from nodes import cloud_node
from nodes.batch_times import BatchTimes
from nodes.batching import BatchLimits
from nodes.cloud_models import CloudModels
from nodes.cloud_node import CloudNode
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.halves import CloudOutcome, EdgeHalf, EdgeOutcome
from nodes.inputs import ModelInputs
from nodes.limits import CLOUD_LIMITS
from nodes.measure.batch_times import BatchMeasurement
from nodes.measure.device_profile import measure_device
from nodes.model_runtime import plan_definition, wire_codecs
from nodes.plan_shapes import cut_plan
from nodes.protocol.assembly import ReceiveSpan
from nodes.protocol.events import RequestArrived
from nodes.suffix_batch import SuffixWork
from nodes.transport.segment_server import Load, SuffixResult
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.plan import Plan
from partitioner.profiles import DeviceProfile
from tests.nodes.sites import eventually, served_model

NO_DELAY = BatchLimits(max_delay_s=0.0)
MOST_WAITING = 6


def vectors(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 6, generator=torch.Generator().manual_seed(batch)),)


def deep() -> nn.Module:
    """Many small layers: calling them is all that it costs, so a batch of eight takes about as long as one item."""
    return nn.Sequential(*(layer for _ in range(40) for layer in (nn.Linear(6, 6), nn.Tanh()))).eval()


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return model_from_module(deep(), vectors(2), "deep")


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    return measure_device(0.05, EagerEngine(), ["zstd"])


@pytest.fixture
def pool() -> Iterator[ComputePool]:
    with ComputePool() as made:
        yield made


@dataclass
class Replica:
    """A node with one plan, an edge's half of it, and a gate before the worker."""

    node: CloudNode
    half: EdgeHalf
    input: str
    wire_digest: str
    pool: ComputePool
    gate: threading.Event = field(default_factory=threading.Event)
    outcomes: dict[int, EdgeOutcome] = field(default_factory=dict)
    batches: dict[int, int] = field(default_factory=dict)

    def request(
        self, number: int, batch: int = 1, deadline_s: float | None = None, priority: int = 0, rtt_s: float = 0.0
    ) -> RequestArrived:
        inputs = ModelInputs({self.input: vectors(batch)[0] * number}, batch)
        self.outcomes[number], self.batches[number] = self.half.run(inputs), batch
        tensors, now_s = self.outcomes[number].encoded, time.monotonic()
        return RequestArrived(
            number, self.wire_digest, batch, deadline_s, priority, tensors, ReceiveSpan(0.0, 0), now_s, "", rtt_s
        )  # fmt: skip

    def outputs(self, number: int, result: SuffixResult) -> list[Tensor]:
        return [tensor for _, tensor in self.half.finish(self.outcomes[number], result.tensors, self.batches[number])]

    async def together(self, *requests: RequestArrived) -> list[asyncio.Task[SuffixResult]]:
        """The requests in the queue of a worker that is busy until the gate opens."""
        self.gate.clear()
        busy = threading.Event()

        def wait() -> None:
            busy.set()
            self.gate.wait()

        self.pool.post(wait, self.gate.set)
        busy.wait()
        tasks = [asyncio.create_task(self.node.run(request)) for request in requests]
        await asyncio.sleep(0)  # one turn, so that they are in the queue
        return tasks


@pytest.fixture
async def replica(
    model: Model, profile: DeviceProfile, pool: ComputePool, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Replica]:
    """Told that a batch takes as long as one item, which it does, and which a busy machine may measure otherwise."""
    made = await prepared(BatchTimes.of({1: 0.01, 8: 0.01}), model, profile, pool, monkeypatch)
    yield made
    made.gate.set()


async def prepared(
    told: BatchTimes, model: Model, profile: DeviceProfile, pool: ComputePool, monkeypatch: pytest.MonkeyPatch
) -> Replica:
    """A replica with its plan. told: what batches are said to take."""
    monkeypatch.setattr("nodes.cloud_node.measure_batches", lambda *_: BatchMeasurement(told, 0.0))
    limits = replace(CLOUD_LIMITS, queue=MOST_WAITING)
    node = CloudNode("replica", CloudModels.holding({"deep": model}, EagerEngine()), pool, profile, NO_DELAY, limits)
    plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:2]), {})
    await node.prepare(plan_definition(plan))
    half = EdgeHalf(model, plan.edge_ops, wire_codecs(plan.boundary), wire_codecs(plan.downlink), EagerEngine())
    return Replica(node, half, model.graph.inputs[0], plan.wire_digest, pool)


def two_models(model: Model, profile: DeviceProfile, pool: ComputePool) -> tuple[CloudNode, list[Plan], Replica]:
    """A node that holds one of two models at a time, a plan of each, and the first one's edge; none is prepared."""
    both = (model, model.renamed("other"))
    models = CloudModels([served_model(one, EagerEngine()) for one in both], most_bytes=1)
    node = CloudNode("replica", models, pool, profile, NO_DELAY)
    plans = [cut_plan(one, tuple(op.name for op in one.graph.ops[:2]), {}) for one in both]
    first = plans[0]
    half = EdgeHalf(model, first.edge_ops, wire_codecs(first.boundary), wire_codecs(first.downlink), EagerEngine())
    return node, plans, Replica(node, half, model.graph.inputs[0], first.wire_digest, pool)


async def test_requests_that_wait_run_as_one_and_get_their_own_answers(replica: Replica) -> None:
    requests = [replica.request(number, batch) for number, batch in ((1, 1), (2, 3), (3, 1))]
    tasks = await replica.together(*requests)
    replica.gate.set()
    results = await asyncio.gather(*tasks)
    assert (replica.node.batch_counts.batches, replica.node.batch_counts.requests) == (1, 3)
    for request, result in zip(requests, results, strict=True):
        alone = await replica.node.run(request)
        got, expected = (replica.outputs(request.request_id, one) for one in (result, alone))
        for one, other in zip(got, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


async def test_what_runs_is_no_work_that_waits(replica: Replica) -> None:
    """It is what replicas are added for."""
    node, began, go = replica.node, threading.Event(), threading.Event()

    def held(_: Sequence[SuffixWork]) -> list[CloudOutcome | Exception]:
        began.set()
        go.wait()
        return [ComputeFailed("of no interest")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud_node, "run_suffixes", held)
        first = asyncio.create_task(node.run(replica.request(1)))
        await asyncio.to_thread(began.wait)
        alone = node.queued_s > 0, node.waiting_s
        second = asyncio.create_task(node.run(replica.request(2)))
        await asyncio.sleep(0)
        beside_s = node.waiting_s
        go.set()
        await asyncio.gather(first, second, return_exceptions=True)
    assert alone == (True, 0.0)
    assert beside_s > 0


async def test_nobody_joins_who_would_make_a_members_answer_late_at_its_edge(
    model: Model, profile: DeviceProfile, pool: ComputePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one batch both would be done by the deadline of the first, but the way back takes longer than is left."""
    replica = await prepared(BatchTimes.of({1: 10.0, 2: 12.0}), model, profile, pool, monkeypatch)
    for rtt_s, batches in ((0.0, 1), (18.0, 3)):
        ends_s = time.monotonic() + 20.0
        urgent, other = replica.request(1, deadline_s=ends_s, rtt_s=rtt_s), replica.request(2)
        tasks = await replica.together(urgent, other)
        replica.gate.set()
        await asyncio.gather(*tasks)
        assert replica.node.batch_counts.batches == batches


async def test_stages_sum_to_the_time_from_arrival_to_the_end_of_the_batch(replica: Replica) -> None:
    requests = [replica.request(number) for number in range(1, 5)]
    tasks = await replica.together(*requests)
    replica.gate.set()
    results = await asyncio.gather(*tasks)
    now_s = time.monotonic()
    for request, result in zip(requests, results, strict=True):
        timings = result.timings
        assert 0 < timings.queue_s + timings.compute_s <= now_s - request.arrived_s
    # All end with the batch; what each calls its own is less than all of it.
    assert replica.node.batch_counts.batches == 1
    pairs = zip(requests, (result.timings for result in results), strict=True)
    ends = [request.arrived_s + timings.queue_s + timings.compute_s for request, timings in pairs]
    assert max(ends) == pytest.approx(min(ends), abs=1e-6)
    assert all(result.timings.compute_s < replica.node.batch_counts.busy_s for result in results)


async def test_a_tensor_that_does_not_fit_fails_alone(replica: Replica) -> None:
    good, bad = replica.request(1), replica.request(2)
    broken = replace(bad, tensors=tuple(replace(tensor, data=tensor.data[1:]) for tensor in bad.tensors))
    tasks = await replica.together(good, broken)
    replica.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], SuffixResult)
    assert isinstance(answers[1], InvalidRequest)


@pytest.mark.parametrize("batch", [0, 65, 4_000_000_000])
async def test_a_request_that_lies_about_its_batch_is_refused_alone(replica: Replica, batch: int) -> None:
    good, lie = replica.request(1), replace(replica.request(2), batch=batch)
    tasks = await replica.together(good, lie)
    load = replica.node.load()
    replica.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], SuffixResult)
    assert isinstance(answers[1], InvalidRequest)
    assert "batch: must be 1 to 64" in str(answers[1])
    assert (load.queued_requests, load.queued_s < 60, replica.node.offered_s < 60) == (1, True, True)


async def test_expired_and_cancelled_members_are_dropped_before_the_batch_runs(replica: Replica) -> None:
    late = replica.request(1, deadline_s=time.monotonic() - 1.0)
    tasks = await replica.together(late, replica.request(2), replica.request(3))
    tasks[1].cancel()
    await asyncio.sleep(0)
    replica.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], DeadlineExceeded)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert isinstance(answers[2], SuffixResult)
    assert replica.node.batch_counts.requests == 1


async def test_load_includes_the_batch_that_is_being_formed(replica: Replica) -> None:
    assert replica.node.load().queued_requests == 0
    tasks = await replica.together(*(replica.request(number) for number in range(1, 7)))
    load = replica.node.load()
    assert load.queued_requests == 6
    assert load.queued_s > 0
    replica.gate.set()
    await asyncio.gather(*tasks)
    assert replica.node.load().queued_requests == 0


async def test_a_full_replica_turns_the_least_urgent_away_and_of_equals_the_newest(replica: Replica) -> None:
    tasks = await replica.together(*(replica.request(number, priority=2) for number in range(1, MOST_WAITING + 1)))
    with pytest.raises(Overloaded, match=r"cloud\.limits\.queue: 6 requests wait"):
        await replica.node.run(replica.request(7, priority=2))
    urgent = asyncio.create_task(replica.node.run(replica.request(8, priority=1)))
    with pytest.raises(Overloaded, match=r"cloud\.limits\.queue: 6 requests wait"):
        await asyncio.wait_for(tasks[-1], 5.0)
    assert replica.node.load().queued_requests == MOST_WAITING
    replica.gate.set()
    assert len(await asyncio.gather(urgent, *tasks[:-1])) == MOST_WAITING


async def test_a_replica_whose_compute_thread_hangs_says_so(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    replica.node.check()
    (task,) = await replica.together(replica.request(1))
    replica.node.check()
    monkeypatch.setattr("nodes.overdue.LONGEST_JOB_S", -1.0)
    with pytest.raises(Unavailable, match="has not returned"):
        replica.node.check()
    replica.gate.set()
    await task


async def test_a_plan_whose_model_made_room_is_unknown_until_it_is_offered_again_and_is_not_measured_again(
    model: Model, profile: DeviceProfile, pool: ComputePool
) -> None:
    node, plans, replica = two_models(model, profile, pool)
    measured = await node.prepare(plan_definition(plans[0]))
    request = replica.request(1)
    before = replica.outputs(1, await node.run(request))
    await node.prepare(plan_definition(plans[1]))
    with pytest.raises(PlanAway, match="its model has made room for another"):
        await node.run(request)
    assert await node.prepare(plan_definition(plans[0])) == measured
    after = replica.outputs(1, await node.run(request))
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))
    assert [(one.name, one.digest) for one in node.describe().versions] == [
        ("other", plans[1].model_digest), ("deep", model.digest),
    ]  # fmt: skip
    assert node.describe().device_profile_json is node.describe().device_profile_json  # each edge that comes asks


async def test_a_model_with_requests_does_not_make_room(
    model: Model, profile: DeviceProfile, pool: ComputePool
) -> None:
    node, plans, replica = two_models(model, profile, pool)
    await node.prepare(plan_definition(plans[0]))
    (asked,) = await replica.together(replica.request(1))
    offered = asyncio.create_task(node.prepare(plan_definition(plans[1])))
    await asyncio.sleep(0.05)
    assert not offered.done()
    assert node.models.counts().evictions == 0
    replica.gate.set()
    await asked
    await offered
    assert node.models.counts().evictions == 1


async def test_an_offer_that_is_not_what_its_digest_says_waits_for_no_room(
    model: Model, profile: DeviceProfile, pool: ComputePool
) -> None:
    node, plans, replica = two_models(model, profile, pool)
    await node.prepare(plan_definition(plans[0]))
    (asked,) = await replica.together(replica.request(1))  # so that its model stays
    try:
        with pytest.raises(InvalidPlan, match="does not match the plan"):
            async with asyncio.timeout(5):
                await node.prepare(replace(plan_definition(plans[1]), wire_digest="0" * 16))
    finally:
        replica.gate.set()
    await asked
    with pytest.raises(NotFound, match="is not served here"):
        node.check_offer(replace(plan_definition(plans[1]), model_digest="another"))


async def test_what_is_remembered_of_plans_is_bounded_and_the_oldest_goes(
    model: Model, profile: DeviceProfile, pool: ComputePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodes.cloud_node.MOST_REMEMBERED", 1)
    measured, told = list[object](), BatchMeasurement(BatchTimes.of({1: 0.01}), 0.0)

    def measure(suffix: object, *_: object) -> BatchMeasurement:
        measured.append(suffix)
        return told

    monkeypatch.setattr("nodes.cloud_node.measure_batches", measure)
    node, plans, replica = two_models(model, profile, pool)
    longer = cut_plan(model, tuple(op.name for op in model.graph.ops[:4]), {})
    for plan in (plans[0], longer, plans[1]):  # the last one's model takes the place of the others'
        await node.prepare(plan_definition(plan))
    with pytest.raises(UnknownPlan) as first:
        await node.run(replica.request(1))
    with pytest.raises(PlanAway):
        await node.run(replace(replica.request(2), wire_digest=longer.wire_digest))
    assert not isinstance(first.value, PlanAway)
    await node.prepare(plan_definition(longer))
    assert len(measured) == 4


async def test_a_plan_that_is_being_prepared_is_in_the_report_of_load_and_no_request(
    model: Model, replica: Replica
) -> None:
    plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:4]), {})
    await replica.together()
    preparing = asyncio.create_task(replica.node.prepare(plan_definition(plan)))
    await eventually(lambda: replica.node.load().queued_s > 0)
    assert (replica.node.load().queued_requests, replica.node.queued_s) == (0, 0.0)
    replica.gate.set()
    await preparing
    assert replica.node.load() == Load(0, 0.0)
