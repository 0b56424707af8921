"""Planning with what a process can do: what several outputs of a command need is worked out once."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from isthmus.planning import Planner
from partitioner.cost_model import Costing
from partitioner.front_end import model_from_module
from partitioner.model import Calibration, Model
from partitioner.setting import Setting


def test_the_frontier_is_worked_out_once_for_a_table_and_a_list(model: Model, setting: Setting) -> None:
    planner = Planner(model, setting)
    planner.table()
    assert planner.frontier is planner.frontier


def test_codecs_that_one_profile_has_no_rate_of_are_named_in_the_plan(model: Model, setting: Setting) -> None:
    files = replace(setting, costing=Costing(form="bytes"))
    best = Planner(model, files).best("latency")
    assert best.plan.provenance["codecs left out"] == "webp (edge and cloud)"
    assert "codecs left out" not in Planner(model, replace(setting, costing=Costing())).best("latency").plan.provenance


def test_the_lossy_codecs_of_a_budget_are_missed_where_they_could_be_measured(model: Model, setting: Setting) -> None:
    given = replace(setting, costing=Costing(lossless=False))
    assert Planner(model, given, 0.02).unrated_codecs() == ""
    calibrated = model.calibrated(Calibration((torch.zeros(4, 3, 32, 32),)))
    assert (
        Planner(calibrated, given, 0.02).unrated_codecs() == "int6, int5, int4, int3, tiled, transform (edge and cloud)"
    )
    files = replace(given, costing=replace(given.costing, form="bytes"))
    assert "jpeg" in Planner(calibrated, files, 0.02).unrated_codecs()


class Centred(nn.Module):
    """Subtracts the mean of the batch from what one layer makes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x)
        return made - made.mean(0, keepdim=True)


def test_a_table_says_which_suffixes_are_never_joined(model: Model, setting: Setting) -> None:
    mixing = model_from_module(Centred().eval(), (torch.randn(2, 8),), "mixing")
    for planned, sizes in ((mixing, [1]), (model, [])):  # of neither were batches measured
        entries = Planner(planned, setting).table().entries
        suffixes = [entry.costs.suffix_s for entry in entries if entry.plan.kind == "cloud-only"]
        assert suffixes
        assert all([size for size, _ in suffix] == sizes for suffix in suffixes)
