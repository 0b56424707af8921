"""Runs are kept and found again, by what their results follow from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import InvalidInput
from simulations.replications import Run, Runs, code_digest, run_key
from simulations.run_record import RunRecord
from simulations.scenario.reading import ScenarioFile, read_scenario
from simulations.scenario.sweep import with_settings
from tests.simulations.fleet_files import scenario_file
from tests.simulations.replay.logs import EDGE, decided, lines_of, written
from tests.simulations.workload.test_logged import asked


def file(folder: Path, **changes: Any) -> ScenarioFile:
    return read_scenario(scenario_file(folder, duration="3s", warm_up="0s", **changes))


def test_what_was_kept_is_not_run_again(tmp_path: Path) -> None:
    read, runs = file(tmp_path), Runs(tmp_path / "runs", workers=1)
    ended: list[Run] = []
    wanted = runs.of(read.scenario, read.folder)
    runs.simulate(wanted[:1], ended.append)
    assert runs.missing(wanted) == wanted[1:]
    runs.simulate(runs.missing(wanted), ended.append)
    assert tuple(ended) == wanted
    assert runs.missing(wanted) == ()
    assert [RunRecord.load(run.file).facts.replication for run in wanted] == [0, 1]


def test_a_file_that_was_cut_short_is_run_again(tmp_path: Path) -> None:
    read, runs = file(tmp_path), Runs(tmp_path / "runs", workers=1)
    wanted = runs.of(read.scenario, read.folder)
    runs.simulate(wanted, lambda _: None)
    wanted[0].file.write_bytes(wanted[0].file.read_bytes()[:100])
    assert runs.missing(wanted) == wanted[:1]


def test_processes_make_the_same_records(tmp_path: Path) -> None:
    read = file(tmp_path)
    here, there = Runs(tmp_path / "here", workers=1), Runs(tmp_path / "there", workers=2)
    for runs in (here, there):
        runs.simulate(runs.of(read.scenario, read.folder), lambda _: None)
    pairs = zip(here.of(read.scenario, read.folder), there.of(read.scenario, read.folder), strict=True)
    assert all(one.file.read_bytes() == other.file.read_bytes() for one, other in pairs)


def test_a_worker_that_dies_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    read, runs = file(tmp_path), Runs(tmp_path / "runs", workers=2)
    read = with_settings(read, [("edges.shop.policy", "deadly:Policy")])
    with pytest.raises(InvalidInput, match=r"a worker died, perhaps for want of memory .*--workers 1"):
        runs.simulate(runs.of(read.scenario, read.folder), lambda _: None)


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        (("replications", 3), False),
        (("slo", {"within": "1s"}), False),
        (("name", "other"), True),
        (("seed", 2), True),
        (("edges.shop.count", 3), True),
        (("clients.camera.deadline", "1s"), True),
    ],
)
def test_a_run_is_known_by_what_its_result_follows_from(
    tmp_path: Path, setting: tuple[str, Any], *, changes: bool
) -> None:
    read = file(tmp_path)
    changed = with_settings(read, [setting])
    assert (run_key(changed.scenario, tmp_path) != run_key(read.scenario, tmp_path)) == changes


def test_a_run_is_known_by_the_source_of_its_own_policies_which_is_not_run_for_it(tmp_path: Path) -> None:
    source = tmp_path / "mine_alone.py"
    read = file(tmp_path)
    edges = [("edges.shop.request_classes", {"log": {"name": f"mine_alone:{kind}"}}) for kind in ("One", "Other")]
    one, other = (with_settings(read, [setting]).scenario for setting in edges)
    source.write_text("raise SystemExit\n")
    before = run_key(one, tmp_path)
    assert run_key(one, tmp_path) == before != run_key(other, tmp_path)
    source.write_text("raise SystemExit  # changed\n")
    assert run_key(one, tmp_path) != before


def test_a_policy_whose_module_is_not_there_is_left_to_the_run_to_refuse(tmp_path: Path) -> None:
    read = with_settings(file(tmp_path), [("models.net.policy", "nowhere.at_all:Policy")])
    assert run_key(read.scenario, tmp_path) != run_key(file(tmp_path).scenario, tmp_path)


def test_a_run_is_known_by_the_contents_of_its_files_and_not_by_where_they_are(tmp_path: Path) -> None:
    before = run_key(file(tmp_path).scenario, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run_key(file(elsewhere).scenario, elsewhere) == before
    plans = tmp_path / "net.json"
    text = plans.read_text()
    read = file(tmp_path)
    plans.write_text(text + "\n")
    assert run_key(read.scenario, tmp_path) != before


def test_a_run_is_known_by_all_that_the_folder_of_its_log_holds(tmp_path: Path) -> None:
    log = tmp_path / "decisions"
    log.mkdir()
    client = {"name": "lane", "edges": "shop", "arrivals": {"kind": "logged", "log": "decisions"}}

    def key() -> str:
        return run_key(file(tmp_path, clients=[client]).scenario, tmp_path)

    written(log / "1.jsonl", lines_of([decided(asked(5.0), EDGE)]))
    before = key()
    assert key() == before
    written(log / "2.jsonl", lines_of([decided(asked(9.0), EDGE)]))
    assert key() != before


def test_a_run_is_known_by_the_code_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = file(tmp_path)
    before = run_key(read.scenario, tmp_path)
    package = tmp_path / "changed"
    package.mkdir()
    monkeypatch.setattr("simulations.replications._PACKAGES", (package,))
    assert run_key(read.scenario, tmp_path) != before


def test_code_is_known_by_the_names_and_the_contents_of_its_files(tmp_path: Path) -> None:
    def digest(**files: str) -> str:
        package = tmp_path / str(len(list(tmp_path.iterdir()))) / "sim"
        (package / "inner").mkdir(parents=True)
        for name, text in files.items():
            (package / "inner" / f"{name}.py").write_text(text)
        (package / "notes.txt").write_text(str(package))
        return code_digest((package,))

    first = digest(one="a = 1", two="b = 2")
    assert digest(one="a = 1", two="b = 2") == first
    others = [
        digest(one="a = 1", two="b = 3"),
        digest(one="a = 1", too="b = 2"),
        digest(one="a = 1"),
        digest(one="b = 2", two="a = 1"),
    ]
    assert len({first, *others}) == 5
