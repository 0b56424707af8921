"""Planning with what a process can do: what several outputs of a command need is worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from isthmus.planning import Planner, accuracy_line
from nodes.measure.codec_findings import CodecFindings
from nodes.measure.lossless_sizes import with_lossless_sizes
from nodes.preprocessing import normalise
from partitioner.cost_model import Costing
from partitioner.front_end import model_from_module
from partitioner.model import Calibration, Model
from partitioner.plan import TensorCodec
from partitioner.plan_table import Accuracy
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


@pytest.fixture(scope="module")
def pictured(model: Model) -> Model:
    """With pictures as calibration inputs, of smooth colours, which JPEG keeps well."""
    (how,) = (spec.preprocessing for spec in model.interface.inputs)
    assert how is not None
    corners = torch.randint(0, 256, (12, 3, 2, 2), generator=torch.Generator().manual_seed(0)).float()
    pixels = nn.functional.interpolate(corners, (32, 32), mode="bilinear").permute(0, 2, 3, 1).to(torch.uint8)
    return model.calibrated(Calibration((normalise(pixels.numpy(), how),)))


@pytest.fixture(scope="module")
def quick_link(setting: Setting) -> Setting:
    """Both sides take JPEG; the edge is as quick as a link that is slow for a tensor."""
    rates = {**setting.edge.codec_rates, "jpeg": setting.edge.codec_rates["png"]}
    edge, cloud = (replace(side, codec_rates=rates) for side in (setting.edge, setting.cloud))
    return replace(setting, edge=edge, cloud=cloud)


def test_of_the_other_form_a_plan_keeps_the_budget_as_a_whole(pictured: Model, quick_link: Setting) -> None:
    given = replace(quick_link, costing=with_lossless_sizes(Costing(), pictured))
    planner = Planner(pictured, given, 0.3)
    assert "jpeg" not in {size.codec for size in planner.frontier_setting.costing.codecs}
    other = planner.of_form("bytes")
    plan = other.best("latency").plan
    assert plan.form == "bytes"
    assert "accuracy budget 0.3" in plan.provenance["accuracy"]
    measured = {size.codec for size in other.frontier_setting.costing.codecs if "measured" in size.provenance}
    assert {"png", "jpeg"} <= measured


def test_what_was_measured_of_codecs_goes_along_to_the_other_form(pictured: Model, quick_link: Setting) -> None:
    planner = Planner(pictured, replace(quick_link, costing=Costing()), 0.3)
    planner.best("latency")
    other = planner.of_form("bytes")
    assert other.findings is not None
    assert other.findings is planner.of_form("bytes").findings
    assert Planner(pictured, planner.given).of_form("bytes").findings is None  # nothing to measure without a budget


class Watched(CodecFindings):
    """Notes each judgement of a plan as a whole."""

    def __init__(self, model: Model, seen: list[str]) -> None:
        super().__init__(model)
        self.seen = seen

    def together(self, edge_ops: Sequence[str], lossy: Sequence[TensorCodec]) -> Accuracy:
        self.seen.append("judged")
        return super().together(edge_ops, lossy)


class Asked(Mapping[str, float]):
    """Latency, and a note of each search that asks for it."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def __iter__(self) -> Iterator[str]:
        self.seen.append("searched")
        return iter(["latency"])

    def __getitem__(self, name: str) -> float:
        return 1.0

    def __len__(self) -> int:
        return 1


def test_the_plan_that_was_judged_is_the_one_returned(pictured: Model, quick_link: Setting) -> None:
    """A second search would end where its own time does, at a plan that nobody judged."""
    seen: list[str] = []
    given = replace(quick_link, costing=Costing(form="bytes", lossless=False))
    Planner(pictured, given, 0.3, findings=Watched(pictured, seen)).best(Asked(seen))
    assert seen[-3:] == ["searched", "judged", "judged"]  # once in the end for the words of its provenance


class Lossy(CodecFindings):
    """Whatever is coded with losses loses a quarter."""

    def together(self, edge_ops: Sequence[str], lossy: Sequence[TensorCodec]) -> Accuracy:
        return Accuracy("cosine", 0.75, 8, 0.7, 0.8)


def test_what_a_plan_keeps_is_told_under_a_budget_alone(pictured: Model, quick_link: Setting) -> None:
    given = replace(quick_link, costing=Costing())
    planner = Planner(pictured, given, 0.3, findings=Lossy(pictured))
    kept = {planner.agreement(entry.plan) for entry in planner.frontier.plans}
    assert kept == {0.75, 1.0}
    assert {Planner(pictured, given).agreement(entry.plan) for entry in planner.frontier.plans} == {None}


def test_an_accuracy_says_what_it_was_judged_by() -> None:
    found = Accuracy("closeness", 0.99, 30, 0.98, 1.0)
    said = "closeness 0.9900 [0.9800, 1.0000] on 30 calibration items"
    assert accuracy_line(found, 1) == said
    assert accuracy_line(found, 3) == f"{said}, the first of 3 outputs alone"


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
