"""`isthmus partition`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from isthmus.cli.frontier_table import bandwidths_won
from isthmus.cli.main import app
from partitioner.artifact import save_artifact
from partitioner.condition import Condition
from partitioner.front_end import model_from_module
from partitioner.frontier import Frontier
from partitioner.link import Link
from partitioner.measurements import CodecRate, Power, Provenance
from partitioner.plan_table import PlanTable
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

Run = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a narrow middle, a slow edge and a quick cloud."""
    folder = tmp_path_factory.mktemp("partition")
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(512, 1024), nn.Linear(1024, 8), nn.Linear(8, 1024), nn.Linear(1024, 2048))
    save_artifact(model_from_module(layers.eval(), (torch.randn(1, 512),), "narrow"), folder / "model")
    for name, speed in (("edge", 1e9), ("cloud", 1e11)):
        rates = {codec: CodecRate(1e-9, 1e-6, 1e-9, 1e-6) for codec in ("raw", "zstd", "int8")}
        made = Provenance("2026-01-01T00:00:00Z", name, "2.13", 0.1, False, "glibc")
        profile = DeviceProfile("cpu", name, 1, 1.0, {"float32": speed}, speed, 1e-6, rates, made)
        declared = replace(profile, power=Power(5.0, 1.0, 2.0, "declared"))
        (folder / f"{name}.json").write_text(declared.to_json())
    return folder


@pytest.fixture
def run(folder: Path) -> Run:
    """The command on that model; returns what it prints."""

    def call(*words: str, fails: bool = False) -> str:
        files = ["--edge", str(folder / "edge.json"), "--cloud", str(folder / "cloud.json")]
        done = CliRunner().invoke(app, ["partition", str(folder / "model"), *files, *words])
        assert (done.exit_code != 0) == fails, done.output
        return str(done.exception) if fails else done.stdout

    return call


def test_the_best_plan_comes_first_with_its_gap(run: Run) -> None:
    lines = run("--bandwidth", "1mbps", "--rtt", "0ms").splitlines()
    assert lines[0].startswith("*")
    assert len(set(lines)) == len({line[2:] for line in lines})  # what won is not told again among what it beats
    assert lines[-1].endswith("over 1 Mbit/s, round trip 0 s; gap 0, proven best")


@pytest.mark.parametrize("objective", ["throughput", "energy", "latency+0.1*energy"])
def test_objectives_are_taken(run: Run, objective: str) -> None:
    plan = json.loads(run("--objective", objective, "--json"))
    assert objective.rpartition("*")[2] in plan["provenance"]["objective"]


def test_edge_memory_is_kept(run: Run) -> None:
    plan = json.loads(run("--bandwidth", "1kbps", "--edge-memory", "5MB", "--json"))
    assert 0 < len(plan["edge_ops"]) < 4


def test_privacy_and_memory_that_contradict_say_so_in_one_line(run: Run) -> None:
    said = run("--privacy", "raw-input", "--edge-memory", "1MB", fails=True)
    assert said.startswith("edge memory 1 MB: the ops kept on the edge by privacy need 2.11 MB")


def test_privacy_takes_an_op(run: Run) -> None:
    ops = json.loads(run("--bandwidth", "1kbps", "--json"))["edge_ops"]
    plan = json.loads(run("--bandwidth", "100gbps", "--rtt", "0ms", "--privacy", ops[1], "--json"))
    assert plan["edge_ops"] == ops[:2]


def _ops_on_edge(run: Run, *words: str) -> list[str]:
    return list(json.loads(run(*words, "--json"))["edge_ops"])


def test_ops_stay_where_they_are_pinned(run: Run) -> None:
    ops = _ops_on_edge(run, "--bandwidth", "1kbps")
    quick = ("--bandwidth", "100gbps", "--rtt", "0ms")
    assert _ops_on_edge(run, *quick) == []
    assert _ops_on_edge(run, *quick, "--pin-edge", ops[0], "--pin-edge", ops[2]) == ops[:3]
    assert _ops_on_edge(run, "--bandwidth", "1kbps", "--pin-cloud", ops[2]) == ops[:2]


def test_cloud_memory_and_the_wire_limit_are_kept(run: Run) -> None:
    ops = _ops_on_edge(run, "--bandwidth", "1kbps")
    quick = ("--bandwidth", "100gbps", "--rtt", "0ms")
    assert 0 < len(_ops_on_edge(run, *quick, "--cloud-memory", "9MB")) < len(ops)
    plan = json.loads(run(*quick, "--wire-limit", "100B", "--json"))
    assert sum(tensor["bytes"] for tensor in (*plan["boundary"], *plan["downlink"])) <= 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pin-edge", "linear_2", "--pin-cloud", "linear_1"), "pins to the edge and pins to the cloud: no cut"),
        (("--pin-cloud", "linear_2", "--wire-limit", "1kB"), "wire 1 kB: the cuts left by pins to the cloud send"),
        (("--pin-cloud", "linear_2", "--cloud-memory", "1kB"), "cloud memory 1 kB: the ops kept in the cloud by"),
        (("--pin-edge", "linaer"), "--pin-edge: is no op of the model (got 'linaer'); write it as the graph does"),
        (("--privacy", "input"), "--privacy: is neither raw-input nor an op of the model (got 'input')"),
        (("--bandwidth", "20"), "link.bandwidth: has no unit (got '20'); write 20mbps, 20kbps or 20bit/s"),
        (("--wire-limit", "much"), "--wire-limit: is not a quantity"),
        (("--cloud-memory", "5 stones"), "--cloud-memory: has an unknown unit"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_said_in_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    told = run(*words, fails=True)
    assert told.startswith(said)
    assert "\n" not in told


def test_the_frontier_is_a_table(run: Run, tmp_path: Path) -> None:
    lines = run("--frontier", "-o", str(tmp_path / "frontier.json")).splitlines()
    frontier = Frontier.from_json((tmp_path / "frontier.json").read_text())
    assert len(lines) == 1 + len(frontier.plans)
    assert [line.split()[0] for line in lines[1:]] == [entry.plan.kind for entry in frontier.plans]


def _setting(folder: Path, link: Link) -> Setting:
    edge, cloud = (DeviceProfile.from_json((folder / f"{name}.json").read_text()) for name in ("edge", "cloud"))
    return Setting(edge, cloud, link)


def test_the_table_says_who_wins_at_a_bandwidth(run: Run, folder: Path) -> None:
    frontier, rtt_s = Frontier.from_json(run("--frontier", "--json")), 0.003
    won = bandwidths_won(frontier, _setting(folder, Link(1e6, 1e6, rtt_s)))
    for number, (least, most) in won.items():
        bps = (max(least, most / 2 if most < 1e30 else 1e12) * most) ** 0.5 if most < 1e30 else max(2 * least, 1.0)
        best = frontier.best(Condition(Link(bps, bps, rtt_s)))
        assert best.costs == frontier.plans[number].costs


@pytest.mark.parametrize("objective", ["energy", "latency+0.1*energy"])
def test_the_table_says_who_wins_by_another_objective(run: Run, folder: Path, objective: str) -> None:
    """The best plan of a fresh solve is the one whose range the bandwidth falls into."""
    frontier = Frontier.from_json(run("--frontier", "--objective", objective, "--json"))
    won = bandwidths_won(frontier, _setting(folder, Link.of("1mbps", "30ms")), objective)
    for bandwidth in ("2kbps", "300kbps", "7mbps", "1gbps"):
        bps = Link.of(bandwidth).uplink_bps
        (number,) = [number for number, (least, most) in won.items() if least <= bps <= most]
        best = json.loads(run("--objective", objective, "--bandwidth", bandwidth, "--json"))
        assert best["edge_ops"] == list(frontier.plans[number].plan.edge_ops)


def test_a_frontier_for_throughput_is_a_table_too(run: Run) -> None:
    lines = run("--frontier", "--objective", "throughput").splitlines()
    found = json.loads(run("--frontier", "--objective", "throughput", "--json"))
    assert len(lines) == 2 + len(found["plans"])
    assert lines[-1] == "gap 0, proven best"
    assert lines[1].startswith("edge-only")


def test_a_frontier_by_an_unknown_objective_is_refused(run: Run) -> None:
    assert run("--frontier", "--objective", "speed", fails=True).startswith("objective: is not known (got 'speed')")


def test_an_accuracy_budget_without_calibration_inputs_is_lossless(run: Run) -> None:
    narrow = ("--bandwidth", "100mbps", "--rtt", "0ms", "--json")
    boundaries = [json.loads(run(*narrow, *more))["boundary"] for more in (["--lossy"], ["--accuracy-budget", "0.5"])]
    assert [any(t["codec"] == "int8" for t in boundary) for boundary in boundaries] == [True, False]


def test_plans_are_written_for_the_simulator(run: Run, folder: Path) -> None:
    run("--plans", str(folder / "plans.json"))
    table = PlanTable.from_json((folder / "plans.json").read_text())
    assert {"edge-only", "cloud-only"} <= {entry.plan.kind for entry in table.entries}
    assert all(entry.costs.edge.at(1) > 0 for entry in table.entries if entry.plan.kind != "cloud-only")
