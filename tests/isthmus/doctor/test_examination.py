"""The whole of `isthmus doctor`, with nothing running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.configuration import read_configuration
from isthmus.doctor.examination import examine
from isthmus.doctor.finding import Finding
from isthmus.doctor.storage import FolderFacts, check_folders, folder_facts
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module

EDGE = "models: [{name: m, source: made}]\nedge: {listen: '127.0.0.1:0', registry: '127.0.0.1:1'}\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def examined(folder: Path, text: str) -> dict[str, Finding]:
    path = folder / "isthmus.yaml"
    path.write_text(text)
    return {finding.check: finding for finding in examine(read_configuration(path), folder)}


def test_of_a_file_with_one_side_only_that_side_is_looked_at(tmp_path: Path) -> None:
    found = examined(tmp_path, EDGE)
    assert found["registry"].level == "warn"
    assert {"edge threads", "edge.listen port", "edge open files"} <= found.keys()
    assert not any(check.startswith("cloud") for check in found)
    both = examined(tmp_path, "models: [{name: m, source: made}]\n")
    assert {"edge threads", "cloud threads", "cloud.registry_listen port"} <= both.keys()


def test_every_port_of_an_edge_is_tried(tmp_path: Path) -> None:
    ports = "metrics_listen: '127.0.0.1:0', page_listen: '127.0.0.1:0', listen"
    found = examined(tmp_path, EDGE.replace("listen", ports, 1))
    assert {"edge.listen port", "edge.metrics_listen port", "edge.page_listen port"} <= found.keys()


def test_where_replicas_follow_the_load_the_most_of_them_count(tmp_path: Path) -> None:
    cloud = "cloud: {autoscaling: {max_replicas: 50}}\n"
    found = examined(tmp_path, f"models: [{{name: m, source: made}}]\n{cloud}")
    assert "for each of 50 replicas" in found["cloud threads"].message


def test_artifacts_and_plan_files_are_read(tmp_path: Path) -> None:
    model = model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "m")
    save_artifact(model, tmp_path / "made")
    assert model.digest[:12] in examined(tmp_path, EDGE)["model m"].message
    (tmp_path / "made" / "spec.json").write_text("{}")
    assert examined(tmp_path, EDGE)["model m"].level == "fail"
    missing = examined(tmp_path, EDGE.replace("source: made", "source: gone, plans: [p.json]"))["model m"]
    assert (missing.level, "p.json" in missing.message) == ("fail", True)


def test_an_artifact_of_another_name_says_nothing_of_the_version_that_is_served(tmp_path: Path) -> None:
    """It is served under the configured one, which the digest covers."""
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "other"), tmp_path / "made")
    assert "model m" not in examined(tmp_path, EDGE)
    (tmp_path / "made" / "spec.json").write_text("{}")
    assert examined(tmp_path, EDGE)["model m"].level == "fail"


def test_a_certificate_that_is_not_there_fails(tmp_path: Path) -> None:
    tls = EDGE.replace("edge: {", "edge: {tls: {certificate: e.pem, key: e.key}, ")
    assert examined(tmp_path, tls)["edge TLS file"].level == "fail"


def test_the_command_says_it_in_lines_or_json_and_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(EDGE)
    done = CliRunner().invoke(app, ["doctor", str(tmp_path / "c.yaml")])
    assert (done.exit_code, "warn  registry: 127.0.0.1:1 does not answer" in done.stdout) == (0, True)
    (tmp_path / "c.yaml").write_text(EDGE.replace("made", "made, plans: [gone.json]"))
    done = CliRunner().invoke(app, ["doctor", str(tmp_path / "c.yaml"), "--json"])
    said = json.loads(done.stdout)
    assert (done.exit_code, said["ok"]) == (1, False)
    assert {"check", "level", "message", "remedy"} == said["findings"][0].keys()


def test_without_a_file_the_machine_alone_is_looked_at() -> None:
    checks = {finding.check for finding in examine(None, Path.cwd())}
    assert {"load", "monotonic clock", "cache folder"} <= checks
    assert "registry" not in checks


@pytest.mark.parametrize(
    ("writable", "free_bytes", "level"), [(True, 10, "ok"), (True, 9, "warn"), (False, 10, "fail")]
)
def test_a_folder_needs_room_for_what_may_still_be_written(writable: bool, free_bytes: int, level: str) -> None:
    [finding] = check_folders([FolderFacts("log", "/log", writable, free_bytes, 90, 10)])
    assert finding.level == level


def test_what_a_folder_holds_counts_for_what_it_may_hold(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(60))
    facts = folder_facts("log", tmp_path, 100)
    assert (facts.held_bytes, facts.wanted_bytes) == (60, 40)
    assert folder_facts("log", tmp_path / "not" / "yet", 100).wanted_bytes == 100
