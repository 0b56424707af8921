"""`isthmus partition` plans with what lossless codecs make of a model's own calibration inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from isthmus.cli.main import app
from partitioner.artifact import save_artifact
from partitioner.model import Calibration, Model
from partitioner.setting import Setting


@pytest.mark.parametrize("items", [0, 6])
def test_sizes_are_measured_where_there_are_calibration_inputs(
    tmp_path: Path, model: Model, setting: Setting, items: int
) -> None:
    inputs = (torch.randn(items, 3, 32, 32, generator=torch.Generator().manual_seed(0)),) if items else ()
    save_artifact(model.calibrated(Calibration(inputs)), tmp_path / "model")
    (tmp_path / "edge.json").write_text(setting.edge.to_json())
    (tmp_path / "cloud.json").write_text(setting.cloud.to_json())
    files = ["--edge", str(tmp_path / "edge.json"), "--cloud", str(tmp_path / "cloud.json")]
    first = model.graph.ops[0].name
    done = CliRunner().invoke(app, ["partition", str(tmp_path / "model"), *files, "--pin-cloud", first, "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)["provenance"]
    assert ("codec zstd image" in said, "codec zstd" in said) == (bool(items), not items)
    assert not items or said["codec zstd image"].endswith("measured on 3 calibration items")


@pytest.mark.parametrize("items", [0, 6])
def test_a_size_that_nobody_measured_is_told(tmp_path: Path, model: Model, setting: Setting, items: int) -> None:
    inputs = (torch.zeros(items, 3, 32, 32),) if items else ()
    save_artifact(model.calibrated(Calibration(inputs)), tmp_path / "model")
    (tmp_path / "edge.json").write_text(setting.edge.to_json())
    (tmp_path / "cloud.json").write_text(setting.cloud.to_json())
    files = ["--edge", str(tmp_path / "edge.json"), "--cloud", str(tmp_path / "cloud.json"), "--bandwidth", "10kbps"]
    pinned = ["--pin-cloud", model.graph.ops[0].name]
    done = CliRunner().invoke(app, ["partition", str(tmp_path / "model"), *files, *pinned])
    assert done.exit_code == 0, done.output
    assert ("sizes assumed, not measured: zstd 0.9 of image" in done.stdout) == (not items)
