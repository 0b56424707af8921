"""Planning from Python: by what lossless codecs make of a model's own calibration inputs, as on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from isthmus import api
from isthmus.errors import InvalidProfile
from nodes.measure.lossless_sizes import with_lossless_sizes
from partitioner.codec_choice import DEFAULT_CODECS, CodecSize
from partitioner.constraints import Constraints
from partitioner.cost_model import Costing
from partitioner.frontier import frontier_of
from partitioner.model import Calibration, Model
from partitioner.plan import Plan
from partitioner.setting import Setting


@pytest.fixture(scope="module")
def calibrated(model: Model) -> Model:
    """With inputs that compress well, as no assumption expects."""
    return model.calibrated(Calibration((torch.zeros(3, 3, 32, 32),)))


def cloud_only(model: Model, setting: Setting, codecs: tuple[CodecSize, ...] = DEFAULT_CODECS) -> Plan:
    rules = Constraints(cloud_ops=frozenset([model.graph.ops[0].name]))
    costing = Costing(codecs=codecs, constraints=rules)
    return api.partition(model, setting.edge, setting.cloud, setting.link, costing=costing)


def test_a_plan_goes_by_measured_sizes(calibrated: Model, setting: Setting) -> None:
    (sent,) = cloud_only(calibrated, setting).boundary
    assert sent.codec == "zstd"
    assert sent.bytes < 0.1 * calibrated.graph.tensors["image"].bytes_at(1)


def test_without_calibration_inputs_sizes_are_assumed(model: Model, setting: Setting) -> None:
    said = cloud_only(model, setting).provenance
    assert "assumed" in said["codec zstd"]


def test_codecs_that_are_stated_stay_as_they_are(calibrated: Model, setting: Setting) -> None:
    stated = (CodecSize("raw", 1.0, True, "exact"), CodecSize("zstd", 0.5, True, "stated"))
    (sent,) = cloud_only(calibrated, setting, stated).boundary
    assert (sent.codec, sent.bytes) == ("zstd", calibrated.graph.tensors["image"].bytes_at(1) // 2)


def test_the_frontiers_go_by_measured_sizes_too(calibrated: Model, setting: Setting) -> None:
    measured = Setting(setting.edge, setting.cloud, setting.link, with_lossless_sizes(Costing(), calibrated))
    found = api.frontier(calibrated, setting.edge, setting.cloud)
    assert found == frontier_of(calibrated, measured)
    wide = api.throughput_frontier(calibrated, setting.edge, setting.cloud)
    crossing = [sent for entry in wide.plans for sent in entry.plan.boundary if sent.codec == "zstd"]
    assert any(sent.tensor == "image" and sent.spread_bytes == 0 and sent.bytes < 1000 for sent in crossing)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"none\.json: cannot be read: No such file or directory; run `isthmus profile`"),
        (b"\xff\xfe", r"none\.json: is no profile: "),
        (b"{}", r"none\.json: is no profile: "),
    ],
)
@pytest.mark.parametrize("plan", [api.partition, api.frontier, api.throughput_frontier])
def test_a_profile_that_cannot_be_read_is_named(
    model: Model, setting: Setting, tmp_path: Path, content: bytes | None, said: str, plan: Callable[..., object]
) -> None:
    path = tmp_path / "none.json"
    if content is not None:
        path.write_bytes(content)
    for edge, cloud in ((path, setting.cloud), (setting.edge, str(path))):
        with pytest.raises(InvalidProfile, match=said):
            plan(model, edge, cloud, setting.link)


def test_profiles_are_read_from_files(model: Model, setting: Setting, tmp_path: Path) -> None:
    for name, profile in (("edge.json", setting.edge), ("cloud.json", setting.cloud)):
        (tmp_path / name).write_text(profile.to_json())
    found = api.partition(model, str(tmp_path / "edge.json"), tmp_path / "cloud.json", setting.link)
    assert found.plan_id == api.partition(model, setting.edge, setting.cloud, setting.link).plan_id
