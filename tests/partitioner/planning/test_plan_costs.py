"""What a plan is worth by an objective is what the search found it to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partitioner.cost_model import Costing, FileFacts
from partitioner.measurements import Power, Price
from partitioner.objectives import objective_for
from partitioner.partition import Setting, best_plan, plans_to_compare
from partitioner.plan_costs import plan_value

FORMS = (Costing(), Costing(form="bytes", file=FileFacts(20_000, 300_000)), Costing(edge_load=3.0, cloud_load=2.0))


@pytest.mark.parametrize("costing", FORMS)
@pytest.mark.parametrize("wanted", ["latency", "throughput", "energy", "cost", "latency+0.5*energy+2*throughput"])
def test_the_best_plan_is_worth_what_was_found(model: Any, setting: Setting, wanted: str, costing: Costing) -> None:
    edge = replace(setting.edge, power=Power(5.0, 1.0, 2.0, "declared"))
    cloud = replace(setting.cloud, price=Price(0.001, "declared"))
    here = Setting(edge, cloud, setting.link, costing)
    objective, best = objective_for(wanted, here), best_plan(model, here, wanted)
    assert plan_value(model, here, best.plan, objective) == pytest.approx(best.value, rel=1e-9)
    others = plans_to_compare(model, here)
    assert len(others) > 1
    assert all(plan_value(model, here, one, objective) >= best.value * (1 - 1e-9) for one in others)


def test_a_time_is_the_one_that_the_plan_predicts(model: Any, setting: Setting) -> None:
    objective = objective_for("latency", setting)
    for plan in plans_to_compare(model, setting):
        assert plan.predicted is not None
        assert plan_value(model, setting, plan, objective) == pytest.approx(plan.predicted.total_s, rel=1e-9)
