"""How many replicas a fleet may need, by what a short while of it with plenty of them is offered."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from partitioner.plan_table import PlanTable
from simulations.capacity.pilot import pilot
from simulations.fleet import Fleet
from simulations.scenario.sweep import with_settings
from tests.scheduler.conftest import DIGEST, make_entry
from tests.simulations.capacity.conftest import Make

Curve = tuple[tuple[int, float], ...]
NOTHING_SAVED, HALF_SAVED = ((1, 0.1), (2, 0.2)), ((1, 0.1), (2, 0.1))


@pytest.mark.parametrize(("curve", "offered"), [(NOTHING_SAVED, 16.0), (HALF_SAVED, 8.0)])
def test_the_guess_is_of_the_work_in_the_batches_that_busy_replicas_make(
    scenario_of: Make, curve: Curve, offered: float
) -> None:
    """160 requests a second of a tenth of a second each, by themselves; with plenty of replicas they mostly are."""
    file = scenario_of()
    cloud = make_entry("input", "file", cloud_s=0.1)
    batched = replace(cloud, costs=replace(cloud.costs, suffix_s=curve))
    (file.folder / "plans.json").write_text(PlanTable("net", DIGEST, (make_entry(edge_s=2.0), batched)).to_json())
    settings = [
        ("cloud.replicas", 100),
        ("cloud.batching.max_batch", 2),
        ("clients.camera.arrivals.rate_per_s", 40.0),
    ]
    file = with_settings(file, settings)
    found = pilot(Fleet(file.scenario, file.folder), 10.0, None)
    assert found.replicas == pytest.approx(offered + math.sqrt(offered), abs=1.0)
