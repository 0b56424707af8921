"""`isthmus simulate`: what it writes and prints, what it keeps, and what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress, ProgressColumn, TaskID
from typer.testing import CliRunner

from isthmus.cli.main import app, main
from isthmus.cli.simulate_command import _with_progress
from simulations.answers.summary import Summary
from simulations.replications import Runs
from simulations.scenario.reading import read_scenario, scenario_schema
from tests.simulations.fleet_files import scenario_file

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The command on a small scenario, in this process; returns what it prints, or the error."""
    path = scenario_file(tmp_path, duration="4s", warm_up="1s", slo={"within": "500ms"})

    def call(*words: str, fails: bool = False) -> str:
        places = ["simulate", str(path), "-o", str(tmp_path / "out"), "--workers", "1"]
        done = CliRunner().invoke(app, [*places, *words])
        assert (done.exit_code != 0) == fails, done.output
        return str(done.exception) if fails else done.stdout

    return call


def test_it_writes_answers_a_page_and_a_trace(run: Run, tmp_path: Path) -> None:
    said = run()
    out = tmp_path / "out"
    answers = Summary.from_json((out / "answers.json").read_text())
    assert (answers.scenario, answers.seeds, answers.slo is not None) == ("two shops", (1, 2), True)
    assert (out / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert json.loads((out / "trace.json").read_text())["traceEvents"]
    assert "promised are" in said
    assert "replica cloud" in said


def test_json_is_what_the_file_holds(run: Run, tmp_path: Path) -> None:
    assert json.loads(run("--json")) == json.loads((tmp_path / "out" / "answers.json").read_text())


def test_a_sweep_has_a_folder_and_a_line_for_every_point(run: Run, tmp_path: Path) -> None:
    said = run("--set", "replications=1", "--sweep", "edges.shop.count=1,3")
    points = json.loads((tmp_path / "out" / "answers.json").read_text())["points"]
    assert [one["settings"] for one in points] == [{"edges.shop.count": 1}, {"edges.shop.count": 3}]
    assert all((tmp_path / "out" / f"edges.shop.count={count}" / "report.html").exists() for count in (1, 3))
    assert [line.split()[0] for line in said.splitlines()[1:3]] == ["1", "3"]


def test_what_was_simulated_before_is_kept(run: Run, tmp_path: Path) -> None:
    run()
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*.npz")}
    run("--set", "replications=3")
    assert len(files) == 2
    assert len(list((tmp_path / "out" / "runs").rglob("*.npz"))) == 3
    assert all(path.stat().st_mtime_ns == before for path, before in files.items())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "edges.shop.count=none"), "edges.shop.count: "),
        (("--set", "edges.shop"), "--set: is no setting"),
        (("--sweep", "cloud.speed=1,0"), "cloud.speed: "),
        (("--set", "prices=nowhere.yaml"), "prices: cannot be read"),
    ],
)
def test_bad_input_is_named(run: Run, words: tuple[str, ...], said: str) -> None:
    assert said in run(*words, fails=True)


def test_bad_input_is_one_line_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["isthmus", "simulate", str(scenario_file(tmp_path, duration="never")), "-o", str(out)]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.err == "error: duration: is not a quantity (got 'never'); write it like 30ms\n"
    assert said.out == ""
    assert not out.exists()


def test_the_schema_is_printed_without_a_scenario() -> None:
    done = CliRunner().invoke(app, ["simulate", "--schema"])
    assert json.loads(done.stdout) == scenario_schema()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_on_a_terminal_advances_with_every_run_that_was_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    bars: list[Bar] = []

    class Bar(Progress):
        """Counts."""

        def __init__(self, *columns: ProgressColumn, **given: Any) -> None:
            super().__init__(*columns, **given)
            self.advances, self.shown = 0, not given["disable"]
            bars.append(self)

        def advance(self, task_id: TaskID, advance: float = 1) -> None:
            """See Progress."""
            self.advances += 1
            super().advance(task_id, advance)

    monkeypatch.setattr("rich.progress.Progress", Bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    file = read_scenario(scenario_file(tmp_path, duration="2s", warm_up="0s", replications=3))
    runs = Runs(tmp_path / "runs", workers=1)
    wanted = runs.of(file.scenario, file.folder)
    runs.simulate(wanted[:1], lambda _: None)
    _with_progress(runs, runs.missing(wanted), len(wanted))
    (bar,) = bars
    (task,) = bar.tasks
    assert (bar.shown, bar.advances) == (terminal, 2)
    assert (task.total, task.completed) == (3, 3)
