"""What a node measures with the models that it loads."""

from __future__ import annotations

import pytest
import torch

from nodes.compute_pool import ComputePool
from nodes.engines.factory import engine_for
from nodes.model_loading import FEW_ITEMS, with_differences
from partitioner.model import Calibration
from tests.nodes.sites import WIDTH, profile, small_model


@pytest.mark.parametrize(("engine", "items"), [("eager", None), ("onnxruntime", FEW_ITEMS)])
async def test_how_far_an_engine_is_from_eager_is_told_unless_it_is_exact(engine: str, items: int | None) -> None:
    model = small_model().calibrated(Calibration((torch.randn(2 * FEW_ITEMS, WIDTH),)))
    with ComputePool() as pool:
        made = await with_differences(profile(), {"small": model}, engine_for(engine), pool)
    found = made.engine_differences.get(model.digest)
    assert (None if found is None else found.n) == items
