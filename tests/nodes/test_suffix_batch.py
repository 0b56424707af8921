"""Suffixes of several requests as one run: what each gets, who fails, whose time is whose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from isthmus.errors import ComputeFailed, InvalidRequest
from nodes.batch_queue import BatchQueue, QueuedWork
from nodes.batch_times import BatchTimes
from nodes.batching import BatchLimits
from nodes.codecs.zstd import ZstdCodec
from nodes.compute_pool import ComputePool
from nodes.engines.base import Runner
from nodes.engines.eager import EagerEngine
from nodes.halves import CloudHalf, CloudOutcome, EdgeHalf
from nodes.inputs import ModelInputs
from nodes.joined_run import BatchAxis, Member, batch_axis, run_joined
from nodes.measure.batch_times import boundary_sample, joined_difference, measure_batches, singles_of
from nodes.model_runtime import wire_codecs
from nodes.plan_shapes import cut_plan
from nodes.suffix_batch import SuffixWork, run_suffixes, suffix_group
from partitioner.front_end import model_from_module
from partitioner.graph import Dimension, TensorInfo
from partitioner.model import Model
from tests.nodes.engines.networks import Pictures, Sentences, pictures, sentences

TIMES = BatchTimes.of({1: 0.001, 8: 0.002})


class Centred(nn.Module):
    """Subtracts the mean of the batch: an item's result depends on its companions."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(0, keepdim=True)).relu()


class Transposed(nn.Module):
    """Puts the batch last, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        turned = self.first(x).transpose(0, 1).contiguous().relu()
        back: Tensor = self.second(turned.transpose(0, 1))
        return back


@pytest.fixture(scope="module")
def models() -> Mapping[str, Model]:
    torch.manual_seed(0)
    return {
        "pictures": model_from_module(Pictures().eval(), pictures(2), "pictures"),
        "sentences": model_from_module(Sentences().eval(), sentences(2), "sentences"),
        "centred": model_from_module(Centred().eval(), (torch.randn(2, 4),), "centred"),
        "transposed": model_from_module(Transposed().eval(), (torch.randn(2, 6),), "transposed"),
    }


class Side:
    """Both halves of one plan of a model, and the works that its requests make in the cloud."""

    def __init__(self, model: Model, ops: int, codec: str = "raw") -> None:
        plan = cut_plan(model, tuple(op.name for op in model.graph.ops[:ops]), {}, codec)
        codecs = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
        self.model, self.edge_ops = model, plan.edge_ops
        self.edge = EdgeHalf(model, plan.edge_ops, *codecs, EagerEngine())
        self.cloud = CloudHalf(model, plan.edge_ops, *codecs, EagerEngine())

    def work(self, *inputs: Tensor) -> SuffixWork:
        named = ModelInputs(dict(zip(self.model.graph.inputs, inputs, strict=True)), len(inputs[0]))
        return SuffixWork(self.cloud, self.edge.run(named).encoded, len(inputs[0]), TIMES)


def alone(work: SuffixWork) -> list[bytes]:
    return [tensor.content for tensor in work.half.run(work.encoded, work.items).encoded]


def values(outcome: CloudOutcome | Exception) -> list[Tensor]:
    assert isinstance(outcome, CloudOutcome), outcome
    return [torch.frombuffer(bytearray(one.data), dtype=torch.float32) for one in outcome.encoded]


@pytest.mark.parametrize("cut", [0, 2, 4])
def test_every_request_gets_what_it_would_have_got_alone(models: Mapping[str, Model], cut: int) -> None:
    side = Side(models["pictures"], cut)
    works = [side.work(*pictures(batch)) for batch in (1, 3, 2)]
    for work, outcome in zip(works, run_suffixes(works), strict=True):
        for got, expected in zip(values(outcome), values(work.half.run(work.encoded, work.items)), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_one_request_gets_the_very_bits(models: Mapping[str, Model]) -> None:
    work = Side(models["pictures"], 2).work(*pictures(3))
    (outcome,) = run_suffixes([work])
    assert isinstance(outcome, CloudOutcome)
    assert [tensor.data for tensor in outcome.encoded] == alone(work)


def test_requests_in_other_codecs_of_one_cut_run_together(models: Mapping[str, Model]) -> None:
    raw, packed = Side(models["pictures"], 2), Side(models["pictures"], 2, "zstd")
    works = [raw.work(*pictures(1)), packed.work(*pictures(2))]
    assert suffix_group(raw.cloud, works[0].encoded) == suffix_group(packed.cloud, works[1].encoded)
    assert all(isinstance(outcome, CloudOutcome) for outcome in run_suffixes(works))


def test_a_tensor_of_another_shape_or_order_is_in_a_group_of_its_own(models: Mapping[str, Model]) -> None:
    side = Side(models["pictures"], 0)
    work, wide = side.work(*pictures(2)), side.work(pictures(2)[0].to(memory_format=torch.channels_last))
    longer = (replace(work.encoded[0], shape=(2, 3, 11, 10)),)
    groups = {suffix_group(side.cloud, encoded) for encoded in (work.encoded, wide.encoded, longer)}
    assert len(groups) == 3


def test_a_request_that_does_not_decode_fails_alone(models: Mapping[str, Model]) -> None:
    side = Side(models["pictures"], 2)
    good = side.work(*pictures(2))
    short = good._replace(encoded=tuple(replace(one, data=one.data[:-4]) for one in good.encoded))
    outcomes = run_suffixes([good, short, good])
    assert isinstance(outcomes[1], InvalidRequest)
    assert values(outcomes[0])[0].equal(values(outcomes[2])[0])
    assert all(isinstance(one, InvalidRequest) for one in run_suffixes([short, short]))


@pytest.mark.parametrize("lie", [{"shape": (2, 3, 9999, 9999)}, {"dtype": "float64"}], ids=["shape", "dtype"])
def test_a_tensor_that_is_not_what_the_model_has_there_is_not_decoded(
    models: Mapping[str, Model], monkeypatch: pytest.MonkeyPatch, lie: dict[str, object]
) -> None:
    good = Side(models["pictures"], 2, "zstd").work(*pictures(2))
    decoded = list[str]()
    monkeypatch.setattr(ZstdCodec, "decode", lambda self, encoded, most: decoded.append(encoded.name))
    lying = good._replace(encoded=tuple(replace(one, **lie) for one in good.encoded))  # type: ignore[arg-type]
    (outcome,) = run_suffixes([lying])
    assert isinstance(outcome, InvalidRequest)
    assert "at batch 2" in str(outcome)
    assert decoded == []


async def test_a_request_that_makes_the_engine_raise_fails_alone(models: Mapping[str, Model]) -> None:
    side = Side(models["sentences"], 0)
    ids, mask = sentences(2)
    works = [side.work(ids, mask), side.work(ids + 1000, mask), side.work(ids, mask)]  # no such word
    with pytest.raises(ComputeFailed):
        run_suffixes(works)
    with ComputePool() as pool:
        queue: BatchQueue[SuffixWork, CloudOutcome] = BatchQueue(pool, BatchLimits(max_delay_s=0.0), run_suffixes)
        queued = [
            QueuedWork(work, suffix_group(side.cloud, work.encoded), 2, TIMES, time.monotonic(), None, 0)
            for work in works
        ]
        outcomes = await asyncio.gather(*map(queue.run, queued), return_exceptions=True)
    assert isinstance(outcomes[1], ComputeFailed)
    for index in (0, 2):
        outcome = outcomes[index]
        assert isinstance(outcome, CloudOutcome)
        assert values(outcome)[0].numel() == 32


def test_own_times_are_what_the_request_would_have_needed(models: Mapping[str, Model]) -> None:
    spans: list[float] = []

    def relu(*tensors: Tensor) -> tuple[Tensor, ...]:
        started_s = time.perf_counter()
        made = tuple(tensor.relu() for tensor in tensors)
        spans.append(time.perf_counter() - started_s)
        return made

    axes = Side(models["centred"], 0).cloud.axes
    first, *others = run_joined(relu, axes, [Member((torch.zeros(1, 4),), 1)] * 8, TIMES)
    assert {other.seconds for other in others} == {first.seconds}
    assert first.seconds >= spans[0] / 2  # t(1) / t(8) of the run; the rest was the others'


# ---- whether it may be joined at all -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ([(1, 0), (0, 3)], BatchAxis(0, 1)),
        ([(0, 3), (64, 0)], BatchAxis(1, 64)),
        ([(0, 1), (0, 3)], None),
        ([(1, 0), (1, 0)], None),
        ([(1, 1)], None),
    ],
)
def test_a_tensor_is_joined_where_one_dimension_holds_the_items(
    shape: list[tuple[int, int]], axis: BatchAxis | None
) -> None:
    assert batch_axis(TensorInfo("t", "float32", tuple(Dimension(*d) for d in shape), None, (), False)) == axis


@pytest.mark.parametrize(("name", "cut"), [("pictures", 2), ("sentences", 0), ("sentences", 3), ("transposed", 4)])
def test_joining_is_measured_to_change_nothing_but_the_last_digits(
    models: Mapping[str, Model], name: str, cut: int
) -> None:
    assert (difference := _difference_of(Side(models[name], cut))) is not None
    assert difference < 1e-5


def test_a_model_whose_items_mix_is_never_joined(models: Mapping[str, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    side, clock = Side(models["centred"], 0), Clock()
    assert _difference_of(side) is None
    monkeypatch.setattr("nodes.measure.timing.time", clock)
    suffix = clock.timed(side.cloud.suffix, {1: 1.0, 2: 1.2, 4: 1.4})
    found = measure_batches(suffix, side.cloud.axes, _sample(side, 4), 4)
    assert (found.times.largest, found.difference) == (1, None)


@pytest.mark.parametrize(
    ("seconds", "largest"),
    [
        ({1: 1.0, 2: 1.2, 4: 1.4}, 4),
        ({1: 1.0, 2: 1.89, 4: 3.0}, 4),
        ({1: 1.0, 2: 1.91, 4: 1.0}, 1),
        ({1: 1.0, 2: 2.0, 4: 4.0}, 1),
    ],
)
def test_batches_are_offered_where_two_at_once_are_quicker_than_one_by_one(
    models: Mapping[str, Model], monkeypatch: pytest.MonkeyPatch, seconds: Mapping[int, float], largest: int
) -> None:
    side, clock = Side(models["pictures"], 2), Clock()
    monkeypatch.setattr("nodes.measure.timing.time", clock)
    found = measure_batches(clock.timed(side.cloud.suffix, seconds), side.cloud.axes, _sample(side, 4), 4)
    assert found.times.largest == largest
    assert (found.difference is None) == (largest == 1)


def test_no_batch_is_measured_where_batching_is_off(models: Mapping[str, Model]) -> None:
    side = Side(models["pictures"], 2)
    assert measure_batches(side.cloud.suffix, side.cloud.axes, _sample(side, 1), 1).times.largest == 1


def _sample(side: Side, batch: int) -> tuple[Tensor, ...]:
    return boundary_sample(side.model, side.edge_ops, batch)


def _difference_of(side: Side) -> float | None:
    assert side.cloud.axes is not None
    singles = singles_of(_sample(side, 4), side.cloud.axes, 4)
    return joined_difference(side.cloud.suffix, side.cloud.axes, singles)


class Clock:
    """Stands in for `time`: moves only when a timed suffix runs, so that no load of the machine is measured."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def perf_counter(self) -> float:
        return self._now_s

    def timed(self, run: Runner, seconds: Mapping[int, float]) -> Runner:
        """`run`, which takes what `seconds` says of its number of items."""

        def runs(*tensors: Tensor) -> tuple[Tensor, ...]:
            self._now_s += seconds[len(tensors[0])]
            return run(*tensors)

        return runs
