"""What `isthmus partition` writes, and the mistakes that one makes with it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from isthmus.cli.main import main
from partitioner.artifact import save_artifact
from partitioner.measurements import Measurement, OpTimes, Power
from partitioner.model import Model
from partitioner.plan import Plan
from partitioner.setting import Setting


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: Model, setting: Setting) -> Path:
    """An artifact, two profiles, and one with the op times of another model."""
    made = tmp_path_factory.mktemp("partition")
    save_artifact(model, made / "model")
    declared = replace(setting.edge, power=Power(5.0, 1.0, 2.0, "declared"))
    (made / "edge.json").write_text(declared.to_json())
    (made / "cloud.json").write_text(setting.cloud.to_json())
    time = Measurement(1.0, 0.0, 5)
    others = replace(setting.edge, op_times=(OpTimes("0" * 64, "eager", 1, 1, {"conv2d": time}, time),))
    (made / "others.json").write_text(others.to_json())
    return made


def _partition(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str, edge: str = "edge.json") -> int:
    """Run the command in `folder`; the exit code."""
    monkeypatch.chdir(folder)
    command = ["isthmus", "partition", "model", "--edge", edge, "--cloud", "cloud.json", "--bandwidth", "4mbps"]
    monkeypatch.setattr(sys, "argv", [*command, "--rtt", "2ms", "--lossy", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_picture_report_and_plan_are_of_one_plan(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    code = _partition(monkeypatch, folder, "--picture", "cut.svg", "--report", "report.html", "--output", "plan.json")
    assert code == 0
    plan = Plan.from_json((folder / "plan.json").read_text())
    svg, page = (folder / "cut.svg").read_text(), (folder / "report.html").read_text()
    assert ET.fromstring(svg).tag.endswith("svg")
    assert svg.rstrip("\n") in page
    assert f"plan {plan.plan_id}" in svg


def test_both_input_forms_of_a_report_are_for_the_objective_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    assert _partition(monkeypatch, folder, "--objective", "energy", "--report", "report.html") == 0
    page = (folder / "report.html").read_text()
    assert page.count("<dd>energy: ") == 2
    assert "<dd>latency: " not in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--report", "nowhere/report.html"), "--report: is in a folder that is not there"),
        (("--picture", "."), "--picture: is a folder"),
        (("--report", "/proc/report.html"), "--report: cannot be written"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert _partition(monkeypatch, folder, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xb9\x00", "Invalid JSON"),
        (b"hello", "Invalid JSON"),
        (b'{"device": "tpu"}', "profile.device"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_profile_is_named(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, said: str
) -> None:
    if content is not None:
        (folder / "wrong.json").write_bytes(content)
    assert _partition(monkeypatch, folder, edge="wrong.json" if content is not None else "none.json") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: wrong.json: is no profile" if content is not None else "error: none.json: ")
    assert said in line


def test_an_artifact_is_not_written_over_a_file(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["isthmus", "import", "model", "-o", "edge.json"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.startswith("error: --output: is a file (got 'edge.json')")


def test_a_profile_of_another_model_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _partition(monkeypatch, folder, "--report", "report.html", edge="others.json") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: others.json: has op times of other models only")
