"""What a replica tells of the times that it makes batches by."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nodes.batch_times import BatchTimes
from nodes.cloud_models import CloudModels
from nodes.cloud_node import CloudNode
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.measure.batch_times import BatchMeasurement
from nodes.model_runtime import plan_definition
from nodes.plan_shapes import cut_plan
from nodes.protocol.events import PlanTimes
from partitioner.front_end import model_from_module
from partitioner.model import Model
from tests.nodes.sites import profile, small_model

BATCHED, ALONE = ((1, 0.010), (2, 0.011), (4, 0.012), (8, 0.014)), ((1, 0.010),)


class Centred(nn.Module):
    """Subtracts the mean of the batch: an item's result depends on its companions."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(0, keepdim=True)).relu()


async def told(model: Model) -> PlanTimes:
    """Of its cloud-only plan, offered twice."""
    with ComputePool(1) as pool:
        models = CloudModels.holding({model.name: model}, EagerEngine(threads=1))
        node, offer = CloudNode("replica", models, pool, profile()), plan_definition(cut_plan(model, (), {}))
        first = await node.prepare(offer)
        assert await node.prepare(offer) == first
    return first


@pytest.mark.parametrize("measured", [BATCHED, ALONE], ids=["batched", "one by one"])
async def test_a_replica_tells_every_size_that_it_makes_batches_by(
    monkeypatch: pytest.MonkeyPatch, measured: tuple[tuple[int, float], ...]
) -> None:
    found = BatchMeasurement(BatchTimes(measured), None)
    monkeypatch.setattr("nodes.cloud_node.measure_batches", lambda *_: found)
    times = await told(small_model())
    assert times.suffix_s == measured
    assert [one.batch for one in times.batches] == [1, 2]


async def test_of_a_model_whose_items_mix_it_tells_one_size() -> None:
    times = await told(model_from_module(Centred().eval(), (torch.randn(2, 4),), "centred"))
    assert [size for size, _ in times.suffix_s] == [1]
