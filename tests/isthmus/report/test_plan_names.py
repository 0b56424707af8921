"""Names and colours of the plans of a report."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isthmus.report.plan_names import plan_names
from partitioner.front_end import model_from_module
from partitioner.partition import plan_for_cut
from partitioner.plan import Plan
from partitioner.setting import Setting


@pytest.fixture(scope="module")
def plans(setting: Setting) -> list[Plan]:
    """Every cut of a chain of thirteen ops, from cloud-only to edge-only."""
    module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(13))).eval()
    model = model_from_module(module, (torch.zeros(1, 4),))
    order = [op.name for op in model.graph.ops]
    return [plan_for_cut(model, setting, order[:count]) for count in range(len(order) + 1)]


def test_each_of_a_dozen_cuts_has_a_colour_of_its_own(plans: list[Plan]) -> None:
    names = plan_names(plans, 13)
    assert len({name.colour for name in names.values()}) == len(plans) == 14
    assert {name.code for name in names.values()} == {"E", "C1", *(f"S{number}" for number in range(1, 13))}


def test_a_cut_is_coloured_by_its_depth_and_numbered_as_it_comes(plans: list[Plan]) -> None:
    names, turned = plan_names(plans, 13), plan_names(plans[::-1], 13)
    assert all(names[plan.plan_id].colour == turned[plan.plan_id].colour for plan in plans)
    assert (names[plans[1].plan_id].code, turned[plans[1].plan_id].code) == ("S1", "S12")
