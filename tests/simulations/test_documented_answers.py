"""What the documentation does with kept runs works on what `isthmus simulate` keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulations.replications import Runs
from simulations.scenario.reading import read_scenario
from tests.simulations.fleet_files import scenario_file

PAGE = Path(__file__).parents[2] / "docs" / "reading-the-simulation.md"


def test_the_shown_python_answers_from_the_folder_of_a_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    file, runs = read_scenario(scenario_file(tmp_path)), Runs(tmp_path / "out" / "runs", workers=1)
    runs.simulate(runs.of(file.scenario, file.folder), lambda _: None)
    monkeypatch.chdir(tmp_path)
    exec(shown, {})
    assert capsys.readouterr().out.startswith("Estimate(value=")
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
