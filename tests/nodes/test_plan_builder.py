"""What a plan's costs say of how sure they are."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from isthmus.errors import InvalidPlan
from nodes.edge_times import EdgeTimes
from nodes.engines.base import Runnable, Runner
from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.model_runtime import ReadyPlan
from nodes.plan_builder import PlanBuilder, with_cloud_times
from nodes.protocol.events import MeasuredBatch, PlanTimes
from partitioner.front_end import model_from_module
from partitioner.measurements import AffineTime, CodecRate
from partitioner.model import Calibration
from tests.nodes.measure.test_calibration_items import second_first
from tests.nodes.sites import profile, small_model

ONE_AND_TWO = (MeasuredBatch(1, 0.008, 0.001, 0.001, 0.0005), MeasuredBatch(2, 0.018, 0.001, 0.001, 0.0002))


@pytest.fixture(scope="module")
def split() -> ReadyPlan:
    model = small_model(0)
    builder = PlanBuilder(model, engine_for("eager"), slowdown=1.0)
    (draft, *_) = builder.split(tuple(op.name for op in model.graph.ops[:3]))
    return builder.ready(draft)[0]


def test_a_model_whose_items_cannot_be_told_apart_is_planned_as_one_without_calibration() -> None:
    model = second_first()
    builder = PlanBuilder(model, engine_for("eager"), slowdown=1.0)
    (draft, *_) = builder.split((model.graph.ops[0].name,))
    assert draft.accuracy is None


class Narrowing(nn.Module):
    """Halves what it has four times, then layers that take long; an answer with the items second."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (64, 64, 32, 16, 8)
        self.layers = nn.ModuleList(nn.Conv2d(3 if at == 0 else sizes[at - 1], sizes[at], 3, 2, 1) for at in range(5))
        self.last = nn.Sequential(nn.Linear(8, 2048), nn.Linear(2048, 8192), nn.Linear(8192, 10))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        answer: Tensor = self.last(x.mean((2, 3)))
        return answer.t().contiguous()


def test_its_cuts_are_those_that_lossless_codecs_win_with() -> None:
    """Hopes for codecs that nobody will ever judge would have others measured."""
    torch.manual_seed(0)
    items = torch.randn(4, 3, 64, 64)
    bare = model_from_module(Narrowing().eval(), (items[:2],), "narrowing")
    rates = {codec: CodecRate(1e-9, 1e-6, 1e-9, 1e-6) for codec in ("raw", "zstd", "int8", "transform")}
    cloud = replace(profile(), codec_rates=rates, flops_per_s={"float32": 1e10})
    edge = replace(cloud, flops_per_s={"float32": 1e8})
    found = [
        PlanBuilder(model, engine_for("eager"), slowdown=1.0).candidates(edge, cloud)
        for model in (bare, bare.calibrated(Calibration((items,))))
    ]
    assert found[0] == found[1] != ()


def test_the_edges_side_has_a_spread_and_the_clouds_none_before_it_says(split: ReadyPlan) -> None:
    assert split.entry.costs.edge_spread > 0.0
    assert split.entry.costs.cloud_spread == 0.0


def test_the_costs_carry_what_batches_of_the_prefix_take(split: ReadyPlan) -> None:
    assert split.entry.costs.prefix_s == split.prefix_times.seconds
    assert split.entry.costs.suffix_s == ()


def test_measured_again_the_batches_go_with_the_one(split: ReadyPlan) -> None:
    costs = split.entry.costs
    twice = AffineTime(2 * costs.edge.fixed_s, 2 * costs.edge.per_item_s)
    again = EdgeTimes(twice, costs.edge_spread, costs.local_finish).applied_to(split)
    assert again.entry.costs.prefix_s == again.prefix_times.seconds
    assert dict(again.entry.costs.prefix_s)[1] == pytest.approx(2 * split.prefix_times.at(1))


def test_the_clouds_side_has_the_widest_spread_of_its_batches(split: ReadyPlan) -> None:
    assert with_cloud_times(split, PlanTimes(ONE_AND_TWO)).entry.costs.cloud_spread == pytest.approx(0.05)


def test_a_cloud_that_does_not_say_has_none(split: ReadyPlan) -> None:
    silent = PlanTimes((MeasuredBatch(1, 0.008, 0.001, 0.001),))
    assert with_cloud_times(split, silent).entry.costs.cloud_spread == 0.0


def test_what_batches_take_in_the_cloud_goes_along_and_moves_nothing_that_choices_go_by(split: ReadyPlan) -> None:
    suffix_s = ((1, 0.008), (2, 0.009), (8, 0.012))
    plain, curved = (with_cloud_times(split, PlanTimes(ONE_AND_TWO, one)).entry.costs for one in ((), suffix_s))
    assert (plain.suffix_s, curved.suffix_s) == ((), suffix_s)
    assert plain.cloud.at(2) == pytest.approx(0.02)
    assert (curved.cloud, curved.cloud_spread) == (plain.cloud, plain.cloud_spread)


def test_sizes_of_batches_that_do_not_rise_are_refused(split: ReadyPlan) -> None:
    with pytest.raises(InvalidPlan, match="suffix_s"):
        with_cloud_times(split, PlanTimes(ONE_AND_TWO, ((2, 0.009), (1, 0.008))))


class Steady(EagerEngine):
    """Runs of 10 ms, however many items they have."""

    def load(self, segment: Runnable) -> Runner:
        run = super().load(segment)

        def slowly(*tensors: Tensor) -> tuple[Tensor, ...]:
            time.sleep(0.01)
            return run(*tensors)

        return slowly


def test_several_items_are_finished_in_the_time_that_they_take_together() -> None:
    model = small_model(0)
    builder = PlanBuilder(model, Steady(), slowdown=1.0)
    (draft, *_) = builder.split(tuple(op.name for op in model.graph.ops[:3]))
    finish = builder.ready(draft)[0].entry.costs.local_finish
    assert finish.at(1) >= 0.01
    assert finish.at(8) < 4 * finish.at(1)
