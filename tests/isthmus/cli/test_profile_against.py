"""`isthmus profile MODEL --against`: real halves of the cuts that may be the best between two devices."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.cli.main import main
from partitioner.artifact import save_artifact
from partitioner.measurements import Measurement, OpTimes, digest_of_ops
from partitioner.model import Model
from partitioner.partition import plan_for_cut
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: Model, setting: Setting) -> Path:
    """An artifact, the profile of a cloud, and one of another model."""
    made = tmp_path_factory.mktemp("against")
    save_artifact(model, made / "model")
    (made / "cloud.json").write_text(setting.cloud.to_json())
    time = Measurement(1.0, 0.0, 5)
    others = replace(setting.cloud, op_times=(OpTimes("0" * 64, "eager", 1, 1, {"conv2d": time}, time),))
    (made / "others.json").write_text(others.to_json())
    return made


def _profile(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    """Run the command in `folder`; the exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["isthmus", "profile", *words, "-o", "edge.json"])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_plans_of_the_frontiers_cuts_are_predicted_as_measured(
    monkeypatch: pytest.MonkeyPatch, folder: Path, model: Model, setting: Setting
) -> None:
    assert _profile(monkeypatch, folder, "model", "--against", "cloud.json", "--budget", "20s") == 0
    edge = DeviceProfile.from_json((folder / "edge.json").read_text())
    timed = {one.edge_ops_digest for one in edge.segment_times if one.leading_ops is None}
    assert timed
    names = [op.name for op in model.graph.ops]
    plans = [plan_for_cut(model, replace(setting, edge=edge), names[:count]) for count in range(1, len(names))]
    measured = [plan for plan in plans if "halves" in plan.provenance]
    assert {digest_of_ops(plan.edge_ops) for plan in measured} == timed
    assert "prefix predicted" in measured[0].provenance["halves"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model", "--against", "none.json"), "error: none.json: cannot be read"),
        (("model", "--against", "others.json"), "error: others.json: has op times of other models only"),
        (("--against", "cloud.json"), "error: --against: is for measuring a MODEL"),
        (("model", "--against", "cloud.json", "--from", "cloud:8100"), "error: --against: is for measuring a MODEL"),
        (("model", "--against", "cloud.json", "--like", "cloud.json"), "error: --against: is for measuring a MODEL"),
    ],
)
def test_another_side_that_cannot_be_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert _profile(monkeypatch, folder, *words, "--budget", "0.1s") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)
