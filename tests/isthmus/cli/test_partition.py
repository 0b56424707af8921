"""`isthmus partition`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from isthmus.cli.frontier_table import bandwidths_won
from isthmus.cli.main import app
from isthmus.units import format_size
from nodes.measure.calibration_items import CalibrationItems, CalibrationRuns
from nodes.measure.codec_sizes import lossy_codecs
from partitioner.artifact import load_artifact, save_artifact
from partitioner.condition import Condition
from partitioner.constrained_choice import NothingInTime
from partitioner.front_end import model_from_module
from partitioner.frontier import Frontier
from partitioner.link import Link
from partitioner.measurements import (
    CodecRate,
    Measurement,
    OpTimes,
    Power,
    Price,
    Provenance,
    SegmentTime,
    digest_of_ops,
)
from partitioner.memory import MemoryModel
from partitioner.menu import MOST_CUTS, menu_of
from partitioner.model import Calibration
from partitioner.plan_table import EngineDifference, PlanTable
from partitioner.profiles import DeviceProfile
from partitioner.scaled_profile import scaled_profile
from partitioner.setting import Setting
from partitioner.spec import ImagePreprocessing, ModelSpec
from tests.nodes.networks import recurrent_model

Run = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a narrow middle, without calibration inputs and with some; a slow edge and a quick cloud."""
    folder = tmp_path_factory.mktemp("partition")
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(512, 1024), nn.Linear(1024, 8), nn.Linear(8, 1024), nn.Linear(1024, 2048))
    model = model_from_module(layers.eval(), (torch.randn(1, 512),), "narrow")
    save_artifact(model, folder / "model")
    save_artifact(model.calibrated(Calibration((torch.randn(8, 512),))), folder / "calibrated")
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

    def call(
        *words: str, fails: bool = False, model: str = "model", edge: str = "edge.json", cloud: str = "cloud.json"
    ) -> str:
        files = ["--edge", str(folder / edge), "--cloud", str(folder / cloud)]
        done = CliRunner().invoke(app, ["partition", str(folder / model), *files, *words])
        assert (done.exit_code != 0) == fails, done.output
        return str(done.exception) if fails else done.stdout

    return call


def test_the_best_plan_comes_first_with_its_gap(run: Run) -> None:
    lines = run("--bandwidth", "1mbps", "--rtt", "0ms").splitlines()
    assert lines[0].startswith("*")
    assert len(set(lines)) == len({line[2:] for line in lines})  # what won is not told again among what it beats
    assert lines[-1].endswith("over 1 Mbit/s, round trip 0 s; gap 0, proven best")


def test_the_way_down_may_have_a_bandwidth_of_its_own(run: Run) -> None:
    lines = run("--bandwidth", "100mbps", "--downlink", "20kbps", "--rtt", "0ms").splitlines()
    assert "over 100 Mbit/s up, 20 kbit/s down, round trip 0 s" in lines[-1]
    quick, slow = (
        _ops_on_edge(run, "--bandwidth", "100gbps", "--rtt", "0ms", *more) for more in ([], ["--downlink", "1kbps"])
    )
    assert (len(quick), len(slow)) == (0, 4)  # where the answer takes seconds on its way it is made on the edge


def test_a_loaded_side_takes_that_many_times_as_long(run: Run) -> None:
    def seconds(*words: str) -> tuple[float, float]:
        found = json.loads(run("--pin-edge", "linear", "--pin-cloud", "linear_3", *words, "--json"))["predicted"]
        return found["edge_s"], found["cloud_s"]

    idle, loaded = seconds(), seconds("--edge-load", "2", "--cloud-load", "3")
    assert loaded == pytest.approx((2 * idle[0], 3 * idle[1]))
    assert "round trip 30 ms, edge x2, cloud x3; gap" in run("--edge-load", "2", "--cloud-load", "3")


@pytest.mark.parametrize("objective", ["throughput", "energy", "latency+0.1*energy", "latency+2*throughput"])
def test_objectives_are_taken(run: Run, objective: str) -> None:
    plan = json.loads(run("--objective", objective, "--json"))
    assert objective.rpartition("*")[2] in plan["provenance"]["objective"]


def test_what_a_plan_is_chosen_for_is_told_of_all_that_it_beats(run: Run) -> None:
    """Not their times alone, which an edge that costs nothing would lose by."""
    lines = run(*_QUICK, "--objective", "energy").splitlines()
    plans = [line for line in lines if line.startswith(("*", "  "))]
    values = [float(line.partition("; energy: ")[2].removesuffix(" J")) for line in plans]
    assert len(values) > 1
    assert values[0] == min(values) > 0
    assert f"energy: {values[0]:.6g} J over" in lines[-1]
    assert "latency" not in "".join(line for line in run(*_QUICK).splitlines() if line.startswith(("*", "  ")))


def test_no_condition_makes_an_edge_only_plan_dearer(run: Run, folder: Path) -> None:
    cloud = DeviceProfile.from_json((folder / "cloud.json").read_text())
    (folder / "priced.json").write_text(replace(cloud, price=Price(0.9 / 3600, "declared")).to_json())
    lines = run("--frontier", "--objective", "cost", cloud="priced.json").splitlines()
    table = [line for line in lines[1:] if line.startswith(("edge-only", "cloud-only", "split"))]
    assert table[0].endswith("at any bandwidth")
    assert len(table) > 1
    assert all(line.endswith("not by cost") for line in table[1:])


def test_edge_memory_is_kept(run: Run) -> None:
    plan = json.loads(run("--bandwidth", "1kbps", "--edge-memory", "5MB", "--json"))
    assert 0 < len(plan["edge_ops"]) < 4


def test_edge_memory_that_cannot_hold_the_model_says_what_finishing_alone_takes(run: Run, folder: Path) -> None:
    graph = load_artifact(folder / "model").graph
    needs = format_size(MemoryModel(graph).edge(frozenset(op.name for op in graph.ops)))
    said = f"an edge needs {needs}, with all parameters (autonomy: full); the limit of 5 MB is for the ops of a cut"
    slow = ("--bandwidth", "1kbps", "--edge-memory")
    assert f"to finish alone {said}" in run(*slow, "5MB").splitlines()
    assert f"to finish alone {said}" in run(*slow, "5MB", "--frontier").splitlines()
    assert json.loads(run(*slow, "5MB", "--json"))["provenance"]["to finish alone"] == said
    assert "alone an edge" not in run(*slow, "20MB")
    assert "alone an edge" not in run("--bandwidth", "1kbps")


def test_a_model_that_requires_the_cloud_never_finishes_alone(run: Run, folder: Path) -> None:
    known = load_artifact(folder / "model")
    tied = replace(known, interface=replace(known.interface, autonomy="cloud-required"))  # type: ignore[type-var]
    save_artifact(tied, folder / "tied")
    said = run("--bandwidth", "1kbps", "--edge-memory", "5MB", model="tied")
    assert "alone an edge" not in said
    assert "edge-only" not in said


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
        (("--bandwidth", "20"), "--bandwidth: has no unit (got '20'); write 20mbps, 20kbps or 20bit/s"),
        (("--downlink", "20"), "--downlink: has no unit (got '20')"),
        (("--rtt", "soon"), "--rtt: is not a quantity (got 'soon')"),
        (("--accuracy-budget", "7"), "--accuracy-budget: must be between 0 and 1 (got 7.0)"),
        (("--objective", "-1*latency"), "--objective latency: needs a weight"),
        (("--edge-load", "0"), "--edge-load: must be from 1e-06 to 1e+06 (got 0.0)"),
        (("--edge-load", "1e300"), "--edge-load: must be from 1e-06 to 1e+06 (got 1e+300)"),
        (("--cloud-load", "nan"), "--cloud-load: must be from 1e-06 to 1e+06 (got nan)"),
        (("--bandwidth", "1e-310bps"), "--bandwidth: is no bandwidth of a link (got '1e-310bps')"),
        (("--downlink", "1e200bps"), "--downlink: is no bandwidth of a link (got '1e200bps')"),
        (("--rtt", "1e308s"), "--rtt: is longer than any (got '1e308s')"),
        (("--frontier", "--objective", "latency+throughput"), "--frontier: goes by no sum with throughput"),
        (
            ("--pin-cloud", "linear", "--wire-limit", "9kB", "--accuracy-budget", "0.1"),
            "wire 9 kB: the cuts left by accuracy budget 0.1 (no calibration inputs) and pins to the cloud send",
        ),
        (("--wire-limit", "much"), "--wire-limit: is not a quantity"),
        (("--cloud-memory", "5 stones"), "--cloud-memory: has an unknown unit"),
        (("--lossy", "--accuracy-budget", "0.1"), "--lossy: allows any loss, --accuracy-budget only so much; give one"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_said_in_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    told = run(*words, fails=True)
    assert told.startswith(said)
    assert "\n" not in told


def test_the_frontier_is_a_table(run: Run, tmp_path: Path) -> None:
    lines = run("--frontier", "-o", str(tmp_path / "frontier.json")).splitlines()
    frontier = Frontier.from_json((tmp_path / "frontier.json").read_text())
    assert len(lines) == 5 + len(frontier.plans)
    assert [line[:10].rstrip() for line in lines[1:-4]] == [entry.plan.kind for entry in frontier.plans]
    assert max(map(len, lines)) <= 100


def test_plans_of_one_cut_are_told_apart_by_what_crosses(run: Run) -> None:
    """And those that a fleet would be offered have a star."""
    lines = run("--frontier").splitlines()
    frontier = Frontier.from_json(run("--frontier", "--json"))
    menu = menu_of(frontier, most_cuts=MOST_CUTS)
    offered = [entry.plan.plan_id for cut in menu.cuts for entry in cut.plans]
    at = lines[0].index("crosses")
    for line, entry in zip(lines[1:-4], frontier.plans, strict=True):
        said = ", ".join(f"{one.tensor} {one.codec}" for one in entry.plan.boundary) or "nothing"
        assert line[at:].startswith(f"{said} ")
        assert (line[10] == "*") == (entry.plan.plan_id in offered)
    assert {line[10] for line in lines[1:-4]} == {"*", " "}


def test_pairs_of_which_only_some_were_measured_whole_are_told_apart(run: Run, folder: Path) -> None:
    """What is measured whole takes longer than the sum of its ops, so that the sums win."""
    model, edge = load_artifact(folder / "model"), DeviceProfile.from_json((folder / "edge.json").read_text())
    ops = [op.name for op in model.graph.ops]
    half = SegmentTime(model.digest, "prefix", digest_of_ops(ops[:2]), "eager", 1, Measurement(0.5, 0.0, 9))
    (folder / "measured.json").write_text(replace(edge, name="measured").with_segment_times(half).to_json())
    also = ("--edge", str(folder / "measured.json"))
    (warning,) = [line for line in run(*also).splitlines() if "measured whole" in line]
    assert warning.startswith("some of these pairs go by halves measured whole, others by sums of op times")
    assert "measured whole" not in run()
    assert "measured whole" not in run(edge="measured.json")


def test_the_table_ends_with_what_the_menu_costs(run: Run) -> None:
    menu = menu_of(Frontier.from_json(run("--frontier", "--json")), most_cuts=MOST_CUTS)
    *_, last, _, _, sides = run("--frontier").splitlines()
    assert sides == "edge edge (eager, 1 thread), cloud cloud (eager, 1 thread)"
    assert last.startswith(f"*menu: {len(menu.cuts)} cuts, at most {menu.excess:.2%} slower than the frontier at ")
    assert last.endswith(" 500 kbit/s–1 Gbit/s, edge x1–2, cloud x1–4")


def test_the_table_says_who_wins_under_load(run: Run) -> None:
    quick = ("--frontier", "--rtt", "0ms")
    idle, loaded = (run(*quick, *more).splitlines() for more in ([], ["--cloud-load", "50"]))
    assert idle[0].endswith("wins on idle devices")
    assert loaded[0].endswith("wins, edge x1, cloud x50")
    assert [line.split("  ")[0] for line in idle[1:]] == [line.split("  ")[0] for line in loaded[1:]]
    assert idle[1:-1] != loaded[1:-1]


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
    assert len(lines) == 5 + len(found["plans"])
    assert lines[-1] == "gap 0, proven best"
    assert lines[1].startswith("edge-only")
    assert max(map(len, lines)) <= 100
    assert run("--frontier", "--objective", "3*throughput").splitlines() == lines


def test_a_frontier_within_limits_says_that_it_is_proven(run: Run) -> None:
    words = ("--frontier", "--wire-limit", "9kB", "--edge-memory", "5MB")
    lines, frontier = run(*words).splitlines(), Frontier.from_json(run(*words, "--json"))
    assert lines[-1] == "gap 0, proven best"
    assert frontier.gap == 0.0
    assert frontier.plans
    assert all(entry.costs.uplink_bytes + entry.costs.downlink_bytes <= 9000 for entry in frontier.plans)
    assert "edge-only" not in {entry.plan.kind for entry in frontier.plans}


def test_a_search_may_be_given_more_time_or_less(run: Run) -> None:
    slow = ("--bandwidth", "1kbps", "--edge-memory", "5MB")
    assert "better may exist" in run(*slow, "--time-limit", "0s").splitlines()[-1]
    assert run(*slow).splitlines()[-1].endswith("gap 0, proven best")
    assert run("--time-limit", "soon", fails=True).startswith("--time-limit: is not a quantity (got 'soon')")


def test_plans_of_a_fleet_keep_to_its_limits(run: Run, tmp_path: Path) -> None:
    run("--wire-limit", "100B", "--plans", str(tmp_path / "plans.json"))
    table = PlanTable.from_json((tmp_path / "plans.json").read_text())
    assert table.entries
    assert all(sum(one.bytes for one in entry.plan.boundary) <= 100 for entry in table.entries)


def test_a_batch_takes_longer_and_more_than_the_model_takes_is_refused(run: Run) -> None:
    one, four = (json.loads(run(*_QUICK, "--batch", batch, "--json")) for batch in ("1", "4"))
    assert four["predicted"]["total_s"] > one["predicted"]["total_s"]
    assert [plan["provenance"]["batch"] for plan in (one, four)] == ["1", "4"]
    sizes = [[tensor["bytes"] for tensor in plan["boundary"]] for plan in (one, four)]
    assert sizes[0] == sizes[1]  # a plan's are one item's
    lines = run(*_QUICK, "--batch", "4").splitlines()
    assert f"({4 * sizes[1][0]} B)" in lines[0]
    assert lines[-2].endswith("(eager, 1 thread), 4 items a request")
    assert run(*_QUICK, "--batch", "4", "--frontier").splitlines()[-1].endswith(", 4 items a request")
    assert "items a request" not in run(*_QUICK)
    assert run("--batch", "4096", fails=True).startswith("--batch: is more than narrow takes at once (got 4096)")


def test_a_frontier_by_an_unknown_objective_is_refused(run: Run) -> None:
    assert run("--frontier", "--objective", "speed", fails=True).startswith("--objective: is not known (got 'speed')")


def test_an_accuracy_budget_without_calibration_inputs_is_lossless(run: Run) -> None:
    narrow = ("--bandwidth", "100mbps", "--rtt", "0ms", "--json")
    boundaries = [json.loads(run(*narrow, *more))["boundary"] for more in (["--lossy"], ["--accuracy-budget", "0.5"])]
    assert [any(t["codec"] == "int8" for t in boundary) for boundary in boundaries] == [True, False]


_QUICK = ("--bandwidth", "100mbps", "--rtt", "0ms")
_UNUSED = "accuracy budget 0.5 not used: no calibration inputs (isthmus import --calibration)"


def test_an_accuracy_budget_that_cannot_be_used_says_so(run: Run) -> None:
    assert f"accuracy: lossless; {_UNUSED}; latency: " in run("--accuracy-budget", "0.5").splitlines()[-1]
    assert run("--accuracy-budget", "0.5", "--frontier").splitlines()[-1].startswith(f"{_UNUSED}; ")
    plan = json.loads(run("--accuracy-budget", "0.5", "--json"))
    assert plan["provenance"]["accuracy"] == f"lossless; {_UNUSED}"


def test_a_model_whose_inputs_do_not_begin_with_the_batch_is_planned_with_assumed_sizes(run: Run, folder: Path) -> None:
    save_artifact(recurrent_model(folder / "recurrent.onnx"), folder / "recurrent")
    assert "are assumed, not measured: input 'state' does not begin with the batch" in run(*_QUICK, model="recurrent")
    assert "calibration inputs that begin with the batch" in run("--accuracy-budget", "0.5", model="recurrent")


def test_an_accuracy_budget_that_no_codec_keeps_says_so(run: Run) -> None:
    said = run(*_QUICK, "--accuracy-budget", "0", model="calibrated").splitlines()[-1]
    assert said.startswith("accuracy: lossless; accuracy budget 0 kept by no codec: the best found costs ")
    assert said.endswith("; gap 0, proven best of the codecs measured")


def test_an_accuracy_budget_that_is_kept_says_by_how_much(run: Run) -> None:
    said = run(*_QUICK, "--accuracy-budget", "0.5", model="calibrated").splitlines()[-1]
    assert said.startswith("accuracy: cosine 1.0000 [")
    assert " on 8 calibration items; accuracy budget 0.5; latency: " in said
    assert said.endswith("; gap 0, proven best of the codecs measured")


@pytest.fixture
def inexact(folder: Path) -> Callable[[str, float], str]:
    """The file of such a side on another engine, which loses that share of the answers."""

    def write(side: str, loss: float) -> str:
        device = DeviceProfile.from_json((folder / f"{side}.json").read_text())
        digest = load_artifact(folder / "calibrated").digest
        difference = EngineDifference(0.1, cosine=1 - loss, top1_agreement=1 - loss, n=8, calibrated=True)
        engine = {"edge": "onnxruntime", "cloud": "aot"}[side]
        other = replace(device, engine=engine).with_engine_difference(digest, difference)
        (folder / f"inexact-{side}.json").write_text(other.to_json())
        return f"inexact-{side}.json"

    return write


def test_what_an_engine_loses_is_part_of_the_accuracy_budget(run: Run, inexact: Callable[[str, float], str]) -> None:
    edge = inexact("edge", 0.1)
    said = run(*_QUICK, "--accuracy-budget", "0.5", model="calibrated", edge=edge).splitlines()[-1]
    assert "; accuracy budget 0.5 (0.1 lost by onnxruntime); latency: " in said


def test_what_no_profile_says_of_an_engine_is_measured_here(run: Run, folder: Path) -> None:
    edge = DeviceProfile.from_json((folder / "edge.json").read_text())
    (folder / "silent.json").write_text(replace(edge, engine="onnxruntime").to_json())
    said = run(*_QUICK, "--accuracy-budget", "0.5", model="calibrated", edge="silent.json").splitlines()[-1]
    assert "lost by onnxruntime as measured here); latency: " in said


@pytest.mark.parametrize(
    ("side", "engine", "kind"), [("edge", "onnxruntime", "cloud-only"), ("cloud", "aot", "edge-only")]
)
@pytest.mark.parametrize("shown", [(), ("--frontier",), ("--objective", "throughput")])
def test_a_budget_that_one_sides_engine_breaks_leaves_the_other_side(
    run: Run, inexact: Callable[[str, float], str], side: str, engine: str, kind: str, shown: tuple[str, ...]
) -> None:
    words = (*_QUICK, "--accuracy-budget", "0.05", *shown)
    said = run(*words, model="calibrated", **{side: inexact(side, 0.1)})
    assert f"accuracy budget 0.05 (0.1 lost by {engine}: {kind} alone keeps to it)" in said
    assert kind in said.splitlines()[1 if "--frontier" in shown else 0]
    others = {"edge-only", "cloud-only", "split"} - {kind}
    assert not any(other in said.replace("edge-only alone", "").replace("cloud-only alone", "") for other in others)


def test_without_a_budget_what_the_engines_lose_is_said_too(run: Run, inexact: Callable[[str, float], str]) -> None:
    files = {"model": "calibrated", "edge": inexact("edge", 0.1)}
    pinned = run(*_QUICK, "--pin-edge", "linear", **files).splitlines()[-1]
    assert pinned.startswith("accuracy: codecs lossless; 0.1 lost by onnxruntime; latency: ")
    unused = run(*_QUICK, "--pin-cloud", "linear", **files).splitlines()[-1]
    assert unused.startswith("accuracy: lossless; latency: ")


def test_what_no_profile_says_of_an_engine_is_not_called_lossless(run: Run, folder: Path) -> None:
    edge = DeviceProfile.from_json((folder / "edge.json").read_text())
    (folder / "silent.json").write_text(replace(edge, engine="onnxruntime").to_json())
    said = run(*_QUICK, "--pin-edge", "linear", edge="silent.json").splitlines()[-1]
    assert said.startswith("accuracy: codecs lossless; what onnxruntime loses is not known: isthmus profile MODEL; ")


@pytest.fixture
def quick(folder: Path) -> str:
    """The file of an edge on another engine, on which all takes a tenth of the time."""
    edge = DeviceProfile.from_json((folder / "edge.json").read_text())
    quick = replace(edge, engine="aot", flops_per_s={"float32": 1e10}, memory_bytes_per_s=1e10)
    (folder / "quick.json").write_text(quick.to_json())
    return "quick.json"


def test_of_several_profiles_the_best_pair_wins(run: Run, folder: Path, quick: str) -> None:
    slow_link = ("--bandwidth", "1kbps")
    both = run(*slow_link, "--edge", str(folder / quick)).splitlines()
    assert json.loads(run(*slow_link, "--edge", str(folder / quick), "--json"))["edge_engine"] == "aot"
    assert both[0] == run(*slow_link, edge=quick).splitlines()[0]
    assert "edge edge (aot, 1 thread), cloud cloud (eager, 1 thread)" in both
    other = run(*slow_link).splitlines()[0].removeprefix("* ")
    assert f"  {other}; edge edge (eager, 1 thread), cloud cloud (eager, 1 thread)" in both


def test_times_that_nobody_measured_are_told_of_each_device(run: Run, folder: Path) -> None:
    cloud = DeviceProfile.from_json((folder / "cloud.json").read_text())
    model = load_artifact(folder / "model")
    took = Measurement(1e-3, 0.0, 5)
    times = OpTimes(model.digest, "eager", 1, 1, {op.name: took for op in model.graph.ops}, took)
    noisy = replace(cloud.provenance, noisy=True)
    (folder / "timed.json").write_text(replace(cloud.with_op_times(times), provenance=noisy).to_json())
    (folder / "like.json").write_text(
        scaled_profile(cloud, name="like", flops_per_s=1e12, memory_bytes_per_s=1e12).to_json()
    )
    for shown in ([], ["--frontier"]):
        lines = [line for line in run(*shown, edge="like.json", cloud="timed.json").splitlines() if "times of" in line]
        edge, noise = lines
        assert edge.startswith("times of edge like (eager, 1 thread): not measured, roofline scaled from cloud, ")
        assert (
            noise
            == "times of cloud cloud (eager, 1 thread): noisy: measure again on a quiet machine, first without MODEL"
        )


def test_a_wire_limit_that_some_inputs_break_says_so(run: Run, folder: Path) -> None:
    words = (*_QUICK, "--pin-cloud", "linear_1", "--json")
    plan = json.loads(run(*words, model="calibrated"))
    (sent,) = plan["boundary"]
    together = sum(tensor["bytes"] for tensor in (sent, *plan["downlink"]))
    spread = sum(tensor["spread_bytes"] for tensor in (sent, *plan["downlink"]))
    assert spread > 0
    told = run(*words[:-1], "--wire-limit", f"{together}B", model="calibrated")
    assert f"--wire-limit is kept on average: a request takes {together} ± {spread} B" in told
    assert "on average" not in run(*words[:-1], "--wire-limit", f"{together + spread}B", model="calibrated")


def test_pairs_share_what_was_measured_of_codecs(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = list[str]()

    def counted(runs: CalibrationRuns, items: CalibrationItems, name: str, loss: float, *, smallest: bool) -> Any:
        looked_at.append(name)
        return lossy_codecs(runs, items, name, loss, smallest=smallest)

    monkeypatch.setattr("nodes.measure.codec_findings.lossy_codecs", counted)
    words = (*_QUICK, "--accuracy-budget", "0.5")
    run(*words, model="calibrated")
    once = looked_at.copy()
    edge = DeviceProfile.from_json((folder / "edge.json").read_text())
    (folder / "other.json").write_text(replace(edge, memory_bytes_per_s=2e9).to_json())
    both = run(*words, "--edge", str(folder / "other.json"), model="calibrated")
    assert sum(", cloud cloud (eager" in line for line in both.splitlines()) == 2
    assert looked_at[len(once) :] == once != []


def test_a_pair_that_cannot_keep_to_the_rules_leaves_the_others(
    run: Run, folder: Path, inexact: Callable[[str, float], str]
) -> None:
    files, strict = {side: inexact(side, 0.1) for side in ("edge", "cloud")}, ("--accuracy-budget", "0.05")
    exact = ("--edge", str(folder / "edge.json"))
    plan = json.loads(run(*_QUICK, *strict, *exact, "--json", model="calibrated", **files))
    assert (plan["edge_engine"], len(plan["edge_ops"])) == ("eager", 4)


@pytest.mark.parametrize("shown", [("--frontier",), ("--plans", "plans.json")])
def test_a_table_is_about_one_profile_of_each_side(run: Run, folder: Path, quick: str, shown: tuple[str, ...]) -> None:
    said = run(*shown, "--edge", str(folder / quick), fails=True)
    assert said == f"{shown[0]}: is about one profile of each side; give one --edge and one --cloud"


def test_a_budget_that_both_engines_break_is_refused(run: Run, inexact: Callable[[str, float], str]) -> None:
    files = {side: inexact(side, 0.1) for side in ("edge", "cloud")}
    said = run(*_QUICK, "--accuracy-budget", "0.05", model="calibrated", fails=True, **files)
    assert said.startswith(
        "accuracy budget 0.05 (0.1 lost by onnxruntime, 0.1 lost by aot): is broken without any codec"
    )


def test_a_budget_that_leaves_one_side_and_a_pin_to_the_other_are_refused_together(
    run: Run, folder: Path, inexact: Callable[[str, float], str]
) -> None:
    op = load_artifact(folder / "calibrated").graph.ops[0].name
    said = run("--accuracy-budget", "0.05", "--pin-edge", op, model="calibrated", edge=inexact("edge", 0.1), fails=True)
    assert said.startswith(
        "accuracy budget 0.05 (0.1 lost by onnxruntime: cloud-only alone keeps to it) and pins to the "
    )


def test_under_a_budget_the_frontier_tells_what_each_plan_keeps(run: Run) -> None:
    words = (*_QUICK, "--accuracy-budget", "0.5", "--frontier")
    heading, *lines = run(*words, model="calibrated").splitlines()
    frontier = Frontier.from_json(run(*words, "--json", model="calibrated"))
    assert max(map(len, lines[: len(frontier.plans)])) <= 100
    at = heading.index("agrees")
    said = [float(line[at : at + 6]) for line in lines[: len(frontier.plans)]]
    lossy = [any(one.codec == "int8" for one in entry.plan.boundary) for entry in frontier.plans]
    assert any(lossy)
    assert all(share == 1.0 for share, has_loss in zip(said, lossy, strict=True) if not has_loss)
    for entry, share in zip(frontier.plans, said, strict=True):
        accuracy = entry.plan.provenance["accuracy"]
        assert f" {share:.4f} [" in accuracy or accuracy.startswith("lossless; ")
    assert "agrees" not in run(*_QUICK, "--frontier", model="calibrated").splitlines()[0]


def test_what_a_plan_beats_keeps_the_budget_too(run: Run) -> None:
    """Cloud-only at the same accuracy, not lossless: that is what a cut has to beat."""
    kept = run(*_QUICK, "--accuracy-budget", "0.5", model="calibrated")
    assert any("cloud-only" in line and "input as int8" in line for line in kept.splitlines())
    assert "input as int8" not in run(*_QUICK, "--accuracy-budget", "0", model="calibrated")


def test_codecs_that_nobody_timed_are_named(run: Run) -> None:
    words = (*_QUICK, "--accuracy-budget", "0.5")
    said = "codecs left out for want of a rate: int6, int5, int4, int3, tiled, transform (edge and cloud)"
    assert said in run(*words, model="calibrated").splitlines()
    assert said in run(*words, "--frontier", model="calibrated").splitlines()
    assert said in run(*words, "--frontier", "--objective", "throughput", model="calibrated").splitlines()
    assert "left out" not in run(*words)


def _page(run: Run, folder: Path, *words: str, model: str = "model") -> str:
    run("--bandwidth", "1mbps", *words, "--report", str(folder / "report.html"), model=model)
    return (folder / "report.html").read_text()


def test_a_page_without_calibration_inputs_says_that_no_lossy_codec_was_used(run: Run, folder: Path) -> None:
    page = _page(run, folder, "--accuracy-budget", "0.5")
    assert "measured to keep accuracy budget 0.5 (no calibration inputs)." in page
    assert "allowed all the same" not in page


def test_a_frontier_that_is_not_found_in_time_leaves_the_plan_and_its_page(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*given: Any) -> Any:
        raise NothingInTime

    monkeypatch.setattr("isthmus.planning.frontier_of", late)
    words = (*_QUICK, "--accuracy-budget", "0.5", "--report", str(folder / "late.html"))
    assert run(*words, model="calibrated").startswith("* ")
    assert "no plan that keeps to them was found in time" in (folder / "late.html").read_text()


def test_what_a_page_compares_with_keeps_to_the_accuracy_budget_too(run: Run, folder: Path) -> None:
    """A limit on memory leaves no frontier to survey; the codecs are those measured all the same."""
    limit = ("--cloud-memory", "100MB")
    assert "cloud-only, input as int8" in _page(run, folder, "--lossy", *limit)
    assert "as int8" not in _page(run, folder, "--accuracy-budget", "0", *limit, model="calibrated")


def test_plans_are_written_for_the_simulator(run: Run, folder: Path) -> None:
    run("--plans", str(folder / "plans.json"))
    table = PlanTable.from_json((folder / "plans.json").read_text())
    assert {"edge-only", "cloud-only"} <= {entry.plan.kind for entry in table.entries}
    assert all(entry.costs.edge.at(1) > 0 for entry in table.entries if entry.plan.kind != "cloud-only")


@pytest.fixture
def pictures(folder: Path) -> Path:
    """A model of pictures, and devices that code them; a small JPEG, and a large PNG of noise."""
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    preprocessing = {"image": ImagePreprocessing(64, 64, 64)}
    spec = ModelSpec(
        layers.eval(), (torch.randn(2, 3, 64, 64),), "pictures", input_names=("image",), preprocessing=preprocessing
    )
    save_artifact(model_from_module(spec), folder / "pictures")
    for name in ("edge", "cloud"):
        known = DeviceProfile.from_json((folder / f"{name}.json").read_text())
        rates = {**known.codec_rates, "png": CodecRate(1e-8, 1e-5, 1e-8, 1e-5), "file": CodecRate(0.0, 0.0, 0.0, 0.0)}
        coding = replace(known, codec_rates=rates, preprocessing_s_per_pixel=1e-8)
        (folder / f"coding-{name}.json").write_text(coding.to_json())
    Image.new("RGB", (64, 64), "red").save(folder / "small.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "large.png")
    return folder


@pytest.mark.parametrize(("file", "codecs"), [("small.jpg", {"file"}), ("large.png", {"png", "zstd"})])
def test_a_small_file_crosses_as_it_arrived_and_a_large_one_does_not(
    run: Run, pictures: Path, file: str, codecs: set[str]
) -> None:
    words = ("--bandwidth", "5mbps", "--rtt", "0ms", "--file", str(pictures / file), "--pin-cloud", "conv2d", "--json")
    plan = json.loads(run(*words, model="pictures", edge="coding-edge.json", cloud="coding-cloud.json"))
    assert {tensor["codec"] for tensor in plan["boundary"]} <= codecs
    assert plan["form"] == "bytes"


def test_a_file_that_is_no_picture_is_refused_by_its_option(run: Run, pictures: Path) -> None:
    said = run("--file", str(pictures / "edge.json"), model="pictures", fails=True)
    assert said.startswith("--file")


def test_a_radio_that_nobody_told_of_is_said_to_count_nothing(run: Run, folder: Path) -> None:
    edge = DeviceProfile.from_json((folder / "edge.json").read_text())
    read = Power(5.0, 1.0, 0.0, "measured by RAPL", measured=True)
    (folder / "read.json").write_text(replace(edge, power=read).to_json())
    said = "energy: measured by RAPL; its radio counts 0 W: state it with isthmus declare"
    for words in (("--objective", "energy"), ("--objective", "energy", "--frontier")):
        assert said in run(*words, edge="read.json")
        assert said not in run(*words)
    assert said not in run(edge="read.json")
