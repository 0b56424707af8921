"""`isthmus replay`: what it prints, and how it refuses what is no log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.errors import InvalidInput, InvalidRequest, NotFound
from tests.simulations.replay.test_replay import log_of, poisson


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log of a short run."""
    return written(tmp_path_factory.mktemp("decisions"), 30.0)


def written(folder: Path, seconds: float, policy: str = "latency") -> Path:
    lines = log_of(poisson(2.0, seconds), policy)
    (folder / "1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def call(*words: object) -> str:
    done = CliRunner().invoke(app, ["replay", *map(str, words)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_what_happened_its_replay_and_the_other_policy_stand_in_a_table(log: Path) -> None:
    said = call(log, "--policy", "edge-only").splitlines()
    assert "requests in" in said[0]
    assert said[0].endswith("decided by latency")
    rows = [line.split("  ")[0] for line in said[3:7]]
    assert rows[1:] == ["what happened", "replayed, latency", "edge-only"]
    assert any(line.startswith("the replay is off what happened by: p50 ") for line in said)
    assert any(line.startswith("- ") for line in said)


def test_a_file_is_a_log_too_and_options_alone_change_the_policy_that_ran(log: Path) -> None:
    said = json.loads(call(log / "1.jsonl", "--options", "switch_cost=5ms", "--json"))
    assert [one["policy"] for one in said["others"]] == ["latency (switch_cost=5ms)"]
    assert said["counted"] == said["requests"] > 20
    assert said["really"]["in_time"] is None


def test_options_alone_leave_the_policies_of_classes_as_they_were(tmp_path: Path) -> None:
    lines = [dict(line) for line in log_of(poisson(2.0, 15.0))]
    decisions = [line for line in lines if line["kind"] == "decision"]
    for line in decisions[::2]:
        line["request"] = {**line["request"], "request_class": "alarm"}
        line |= {"because": "class alarm", "policy": {"name": "edge-only", "options": {}}}
    (tmp_path / "1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (told,) = json.loads(call(tmp_path, "--options", "switch_cost=5ms", "--json"))["others"]
    assert told["policy"] == "latency (switch_cost=5ms), edge-only for class alarm"
    assert told["told"]["plans"]["edge-only"] >= len(decisions[::2]) / len(decisions)


def test_what_rests_on_costs_alone_is_said(tmp_path: Path) -> None:
    log = written(tmp_path, 15.0, "edge-only")
    words = "  100% of the requests take plans that never ran in the log: they rest on costs"
    assert words in call(log, "--policy", "cloud-only").splitlines()
    assert "never ran" not in call(log, "--policy", "edge-only")


def test_a_log_of_less_than_five_blocks_has_no_intervals(tmp_path: Path) -> None:
    short = written(tmp_path, 15.0)
    told = json.loads(call(short, "--json"))
    assert 1 <= told["blocks"] < 5
    assert told["really"]["p50_s"]["low"] is None is told["error"]["changes"]["p50_s"]["high"]
    said = call(short).splitlines()
    assert "[-]" in next(line for line in said if line.startswith("what happened"))
    assert "[-], p99 " in next(line for line in said if line.startswith("the replay is off"))


@pytest.mark.parametrize(
    ("words", "error", "fault"),
    [
        (["nowhere"], NotFound, "LOG: there is no nowhere"),
        (["--policy", "a", "--policy", "b", "--options", "x=1"], InvalidRequest, "--options: go with one policy"),
        (["--policy", "slo", "--options", "probability"], InvalidRequest, "--options: is not KEY=VALUE"),
        (["--policy", "slo", "--options", "probability=7"], InvalidInput, "--options probability: "),
        (["--policy", "nothing"], NotFound, "--policy: there is no 'nothing'"),
    ],
)
def test_what_cannot_be_replayed_is_named(log: Path, words: list[str], error: type[Exception], fault: str) -> None:
    with pytest.raises(error, match=fault):
        call(*([] if words == ["nowhere"] else [log]), *words)
