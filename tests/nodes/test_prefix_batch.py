"""Prefixes of several requests as one run on the edge."""

from __future__ import annotations

import asyncio
import threading

import pytest
import torch

from isthmus.errors import DeadlineExceeded, InvalidRequest
from nodes.batch_queue import AT_ONCE_S
from nodes.batch_times import BatchTimes
from nodes.batching import BatchLimits
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.halves import EdgeHalf, EdgeOutcome
from nodes.inputs import ModelInputs
from nodes.model_runtime import wire_codecs
from nodes.plan_shapes import cut_plan
from nodes.prefix_batch import PrefixWork, prefix_group, run_prefixes
from nodes.prefix_queue import PrefixQueue
from nodes.preprocessing import ImageBatch
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.spec import ImagePreprocessing, ModelSpec
from scheduler.estimators.load import EdgeQueueEstimator
from tests.nodes.engines.networks import Pictures, pictures

TIMES = BatchTimes.of({1: 0.01, 8: 0.02})


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    preprocessing = {"x": ImagePreprocessing(10, 10, 12)}
    return model_from_module(ModelSpec(Pictures().eval(), pictures(2), name="pictures", preprocessing=preprocessing))


def half(model: Model, codec: str = "raw", ops: int = 3, slowdown: float = 1.0) -> EdgeHalf:
    plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:ops]), {}, codec)
    codecs = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
    return EdgeHalf(model, plan.edge_ops, *codecs, EagerEngine(), slowdown)


def work(edge: EdgeHalf, batch: int) -> PrefixWork:
    return PrefixWork(edge, ModelInputs({"x": pictures(batch)[0]}, batch), TIMES)


def finished(edge: EdgeHalf, outcome: EdgeOutcome | Exception) -> list[torch.Tensor]:
    """The model's outputs, from what the prefix left."""
    assert isinstance(outcome, EdgeOutcome), outcome
    return [tensor for _, tensor in edge.finish_locally(outcome)]


@pytest.mark.parametrize("ops", [2, 5, None])
def test_every_request_gets_what_it_would_have_got_alone(model: Model, ops: int | None) -> None:
    edge = half(model, ops=len(model.graph.ops) if ops is None else ops)
    works = [work(edge, batch) for batch in (2, 1, 4)]
    for one, outcome in zip(works, run_prefixes(works), strict=True):
        expected = finished(edge, edge.run(one.inputs))
        for got, wanted in zip(finished(edge, outcome), expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batches", [(2,), (2, 1, 4)], ids=["alone", "joined"])
def test_what_is_kept_of_a_request_holds_no_other_ones_memory(model: Model, batches: tuple[int, ...]) -> None:
    edge = half(model)
    for outcome in run_prefixes([work(edge, batch) for batch in batches]):
        assert isinstance(outcome, EdgeOutcome)
        tensors = [one for one in (*outcome.boundary.values(), *outcome.kept.values()) if isinstance(one, torch.Tensor)]
        held_bytes = sum(tensor.untyped_storage().nbytes() for tensor in tensors)
        assert held_bytes + outcome.wire_bytes == outcome.held_bytes


def test_one_request_gets_the_very_bits(model: Model) -> None:
    edge = half(model)
    (outcome,) = run_prefixes([work(edge, 2)])
    assert isinstance(outcome, EdgeOutcome)
    assert [tensor.data for tensor in outcome.encoded] == [t.data for t in edge.run(work(edge, 2).inputs).encoded]


def test_plans_that_differ_in_codecs_only_share_a_group_and_keep_their_codecs(model: Model) -> None:
    works = [work(half(model, codec), 1) for codec in ("raw", "zstd")]
    assert prefix_group(works[0].half, works[0].inputs) == prefix_group(works[1].half, works[1].inputs)
    codecs = [o.encoded[0].codec for o in run_prefixes(works) if isinstance(o, EdgeOutcome)]
    assert codecs == ["raw", "zstd"]


def test_a_file_that_is_no_image_fails_alone(model: Model) -> None:
    edge = half(model)
    bad = PrefixWork(edge, ModelInputs({"x": ImageBatch((b"no image",))}, 1), TIMES)
    outcomes = run_prefixes([work(edge, 1), bad, work(edge, 2)])
    assert isinstance(outcomes[1], InvalidRequest)
    assert [isinstance(outcomes[index], EdgeOutcome) for index in (0, 2)] == [True, True]


def test_a_slowed_edge_is_slow_in_batches_too(model: Model) -> None:
    outcomes = [run_prefixes([work(half(model, slowdown=factor), 1)] * 2)[0] for factor in (1.0, 1000.0)]
    fast, slow = (o.compute_s for o in outcomes if isinstance(o, EdgeOutcome))
    assert slow > 50 * fast


async def test_prefixes_that_wait_on_an_edge_run_as_one_and_expired_ones_do_not(model: Model) -> None:
    edge, gate = half(model), threading.Event()
    with ComputePool() as pool:
        queue = PrefixQueue(pool, EdgeQueueEstimator(), BatchLimits(max_delay_s=0.0))
        pool.post(gate.wait, gate.set)
        late = asyncio.create_task(queue.run_prefix(work(edge, 1), TIMES, 0.0, 0))
        tasks = [asyncio.create_task(queue.run_prefix(work(edge, 1), TIMES, None, 0)) for _ in range(3)]
        await asyncio.sleep(0)  # one turn, so that they are in the queue
        assert queue.wait_s() == pytest.approx(TIMES.at(4))
        gate.set()
        await asyncio.gather(*tasks)
        with pytest.raises(DeadlineExceeded):
            await late
        assert queue.prefix_counts.batches == 1


def test_a_prefix_shorter_than_a_hand_over_runs_where_it_was_asked_and_files_never_do(model: Model) -> None:
    edge = half(model)
    files = PrefixWork(edge, ModelInputs({"x": ImageBatch((b"no image",))}, 1), TIMES)
    with ComputePool() as pool:
        queue = PrefixQueue(pool, EdgeQueueEstimator())
        assert isinstance(queue.run_prefix_at_once(work(edge, 1), AT_ONCE_S / 2, None), EdgeOutcome)
        assert queue.run_prefix_at_once(files, AT_ONCE_S / 2, None) is None


async def test_a_file_that_crosses_as_it_came_waits_for_nothing_that_computes(
    model: Model, photos: dict[str, bytes]
) -> None:
    file = PrefixWork(half(model, "file", ops=0), ModelInputs({"x": ImageBatch((photos["rocket"],))}, 1), TIMES)
    gate = threading.Event()
    with ComputePool() as pool:
        queue = PrefixQueue(pool, EdgeQueueEstimator())
        pool.post(gate.wait, gate.set)
        try:
            outcome = await asyncio.wait_for(queue.run_beside(file, None), 10)
        finally:
            gate.set()
        assert [one.codec for one in outcome.encoded] == ["file"]
        assert queue.prefixes.counts.executed == 1
        with pytest.raises(DeadlineExceeded):
            await queue.run_beside(file, 0.0)
        broken = file._replace(inputs=ModelInputs({"x": ImageBatch((b"no image",))}, 1))
        with pytest.raises(InvalidRequest):
            await queue.run_beside(broken, None)
