"""An `.onnx` file that leaves sizes open beside its batch, planned by one command each, without an import before."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from isthmus.cli.main import app
from isthmus.errors import InvalidInput, InvalidModel, InvalidProfile
from partitioner.plan import Plan
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting
from tests.partitioner.test_onnx_front_end import proto, saved, value, weight

Run = Callable[..., str]
SHAPE = ("--example", "1x3x32x32")
OPS = ["conv", "relu", "pool", "flatten", "head"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, setting: Setting) -> Path:
    """Pictures of any size to four numbers, and two profiles without op times."""
    made = tmp_path_factory.mktemp("onnx")
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], "conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w"], ["y"], "head"),
    ]
    inputs = [value("x", "batch", 3, "height", "width")]
    saved(made / "open.onnx", proto(nodes, [weight("k", 8, 3, 3, 3), weight("w", 8, 4)], inputs))
    (made / "edge.json").write_text(setting.edge.to_json())
    (made / "cloud.json").write_text(setting.cloud.to_json())
    return made


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in that folder; what it prints. Raises what it raises."""
    monkeypatch.chdir(folder)

    def call(*words: str) -> str:
        done = CliRunner().invoke(app, words)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return call


def test_an_engine_that_runs_no_onnx_is_refused(run: Run, folder: Path, setting: Setting) -> None:
    (folder / "aot.json").write_text(replace(setting.edge, engine="aot").to_json())
    with pytest.raises(InvalidProfile, match=r"edge profile: is of an engine that runs no ONNX model \(got 'aot'\)"):
        run("partition", "open.onnx", *SHAPE, "--edge", "aot.json", "--cloud", "cloud.json")


def partition(*words: str) -> tuple[str, ...]:
    return ("partition", "open.onnx", "--edge", "edge.json", "--cloud", "cloud.json", "--bandwidth", "4mbps", *words)


def test_it_is_planned_to_a_frontier(run: Run) -> None:
    found = json.loads(run(*partition(*SHAPE, "--frontier", "--json")))
    kinds = {len(one["plan"]["edge_ops"]) for one in found["plans"]}
    assert {0, len(OPS)} <= kinds


def test_it_is_planned_to_a_plan_a_picture_and_a_report(run: Run, folder: Path) -> None:
    run(*partition(*SHAPE, "--picture", "cut.svg", "--report", "report.html", "-o", "plan.json"))
    plan = Plan.from_json((folder / "plan.json").read_text())
    svg, page = (folder / "cut.svg").read_text(), (folder / "report.html").read_text()
    assert plan.model == "open"
    assert ET.fromstring(svg).tag.endswith("svg")
    assert f"plan {plan.plan_id}" in svg
    assert svg.rstrip("\n") in page


def test_its_ops_are_measured(run: Run, folder: Path) -> None:
    run("profile", "open.onnx", *SHAPE, "--budget", "500ms", "-o", "measured.json")
    (times,) = DeviceProfile.from_json((folder / "measured.json").read_text()).op_times
    assert set(times.seconds) == set(OPS)


def test_without_an_example_the_open_size_is_named(run: Run) -> None:
    with pytest.raises(InvalidModel, match=r"open dimension 2 \(height\)"):
        run(*partition())


def test_an_example_that_is_none_is_refused_by_the_options_name(run: Run) -> None:
    with pytest.raises(InvalidInput, match="--example"):
        run(*partition("--example", "large"))


@pytest.fixture
def looping(folder: Path) -> str:
    """A file whose loop goes round as often as its input says."""
    body = helper.make_graph(
        [helper.make_node("MatMul", ["carried", "w"], ["next"]), helper.make_node("Identity", ["going"], ["on"])],
        "body",
        [value("step", kind=TensorProto.INT64), value("going", kind=TensorProto.BOOL), value("carried", "batch", 4)],
        [value("on", kind=TensorProto.BOOL), value("next", "batch", 4)],
    )
    nodes = [
        helper.make_node("ReduceMax", ["n"], ["rounds"], "rounds", keepdims=0),
        helper.make_node("Loop", ["rounds", "", "x"], ["y"], "loop", body=body),
    ]
    inputs = [value("x", "batch", 4), value("n", "batch", 1, kind=TensorProto.INT64)]
    saved(folder / "loop.onnx", proto(nodes, [weight("w", 4, 4)], inputs))
    return "loop.onnx"


def test_an_import_says_whose_flops_data_decides(run: Run, looping: str) -> None:
    assert "FLOPs of loop: the least, as data decides how often" in run("import", looping, "-o", "artifact")
    assert json.loads(run("import", looping, "-o", "artifact", "--json"))["flops_at_least"] == ["loop"]
    assert "FLOPs" not in run("import", "open.onnx", *SHAPE, "-o", "artifact")


def test_a_report_says_that_flops_are_at_least_those(run: Run, folder: Path, looping: str) -> None:
    sides = ("--edge", "edge.json", "--cloud", "cloud.json", "--bandwidth", "20mbps", "--rtt", "30ms")
    run("partition", looping, *sides, "--report", "page.html")
    assert "2 ops, at least 33 FLOP for one item" in (folder / "page.html").read_text()
