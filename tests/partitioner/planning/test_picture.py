"""The picture of a cut."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from isthmus.errors import InvalidPlan
from isthmus.units import format_duration
from partitioner.graph import Dimension, ModelGraph, Op, TensorInfo
from partitioner.partition import Setting, partition_graph, plan_for_cut
from partitioner.picture import cut_picture
from partitioner.picture_lanes import layout_of
from partitioner.picture_stages import stages_of
from partitioner.plan import Plan, TensorCodec
from partitioner.repeats import repeats_in

_GOLDEN = Path(__file__).parent / "golden" / "plain_model.svg"
_BLOCK = ("convolution", "native_batch_norm", "relu", "add")


def _texts(svg: str) -> str:
    return "\n".join(node.text or "" for node in ET.fromstring(svg).iter() if node.tag.endswith("text"))


def _titles(svg: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(svg).iter() if node.tag.endswith("title")]


def _long_graph(length: int, block: tuple[str, ...] = _BLOCK) -> ModelGraph:
    """A chain in which an op now and then reads a tensor from far behind."""
    ops = []
    for i in range(length):
        before = f"t{i - 1}" if i else "x"
        skip = (f"t{i - 40}",) if i % 50 == 49 else ()
        ops.append(Op(f"op{i}", f"aten.{block[i % len(block)]}.default", 10**6, (before, *skip), (f"t{i}",), 0, 0, 0))
    consumers: dict[str, list[str]] = {}
    for op in ops:
        for name in op.inputs:
            consumers.setdefault(name, []).append(op.name)
    producers = {"x": None, **{op.outputs[0]: op.name for op in ops}}
    tensors = {
        name: TensorInfo(
            name, "float32", (Dimension(1, 0),), made, tuple(consumers.get(name, ())), name not in consumers
        )
        for name, made in producers.items()
    }
    return ModelGraph(tuple(ops), tensors, ("x",), (f"t{length - 1}",))


def _plan(graph: ModelGraph, edge_count: int) -> Plan:
    edge = tuple(op.name for op in graph.ops[:edge_count])
    boundary = tuple(TensorCodec(name, "int8", bytes=7) for name in graph.boundary(edge))
    down = tuple(TensorCodec(name, "raw", bytes=9) for name in graph.outputs)
    return Plan("long", "d" * 64, "tensor", edge, boundary, down, ())


def test_it_is_the_picture_that_somebody_looked_at(model: Any, setting: Setting) -> None:
    seconds = {op.name: 0.001 for op in model.graph.ops}
    assert cut_picture(model.graph, partition_graph(model, setting), op_seconds=seconds) == _GOLDEN.read_text()


def test_it_names_what_crosses_and_its_bytes_with_the_times_of_the_parts(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, setting)
    shown = _texts(cut_picture(model.graph, plan))
    assert "↑ narrow\nzstd, 8 kB → 7.2 kB" in shown
    assert plan.predicted is not None
    parts = [format_duration(getattr(plan.predicted, f"{part}_s")) for part in ("total", "edge", "uplink")]
    assert "predicted {} = edge {} + uplink {}".format(*parts) in shown


def test_times_of_the_stages_are_those_of_their_ops(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, setting)
    shown = _texts(cut_picture(model.graph, plan, op_seconds={"stem": 0.5, "body": 0.25}))
    assert "500 ms" in shown
    assert "250 ms" in shown


def test_of_a_batch_all_is_of_the_whole_request(model: Any, setting: Setting) -> None:
    four = replace(setting, costing=replace(setting.costing, batch=4))
    shown = _texts(cut_picture(model.graph, partition_graph(model, four), batch=4))
    assert "↑ narrow\nzstd, 32 kB → 28.8 kB" in shown
    assert "\n↑ 28.8 kB, " in shown
    assert "input: image\n2.41 MB" in shown
    assert "1 op, 160 MFLOP, hands on 32 kB" in shown  # body: 40 an item
    assert "plain, 4 items a request" in shown
    assert "items" not in _texts(cut_picture(model.graph, partition_graph(model, setting)))


def test_where_lanes_go_by_measured_halves_it_says_that_boxes_do_not(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, setting)
    halves = replace(plan, provenance={**plan.provenance, "halves": "prefix predicted as measured whole"})
    seconds, said = {"stem": 0.5}, "lanes: prefix predicted as measured whole; boxes: sums of op times"
    assert said in _texts(cut_picture(model.graph, halves, op_seconds=seconds)).replace("\n", " ")
    assert "boxes:" not in _texts(cut_picture(model.graph, halves))
    assert "boxes:" not in _texts(cut_picture(model.graph, plan, op_seconds=seconds))


def test_names_are_escaped(model: Any, setting: Setting) -> None:
    plan = replace(partition_graph(model, setting), model="<script>&\x00")
    assert "<script>&\ufffd: split" in _texts(cut_picture(model.graph, plan))


def test_it_needs_nothing_from_outside(model: Any, setting: Setting) -> None:
    svg = cut_picture(model.graph, partition_graph(model, setting))
    outside = re.findall(r"https?://[^\"]*|href|@import|url\((?!#isthmus-)", svg)
    assert outside == ["http://www.w3.org/2000/svg"]


def test_edge_only_crosses_nothing(model: Any, setting: Setting) -> None:
    svg = cut_picture(model.graph, plan_for_cut(model, setting, [op.name for op in model.graph.ops]))
    assert "nothing crosses" in _texts(svg)
    assert 'class="cut-line"' not in svg


def test_a_plan_of_another_graph_is_refused(model: Any, setting: Setting) -> None:
    plan = replace(partition_graph(model, setting), edge_ops=("nobody",))
    with pytest.raises(InvalidPlan, match="nobody"):
        cut_picture(model.graph, plan)


@pytest.mark.parametrize(("length", "edge_count"), [(100, 61), (1000, 387), (1000, 0)])
def test_every_tensor_that_crosses_is_drawn_however_long_the_model(length: int, edge_count: int) -> None:
    graph = _long_graph(length)
    plan = _plan(graph, edge_count)
    svg = cut_picture(graph, plan)
    crossing = [title for title in _titles(svg) if "on the wire" in title]
    assert crossing == [
        *(f"{t.tensor} as int8, 4 B → 7 B on the wire" for t in plan.boundary),
        f"t{length - 1} as raw, 4 B → 9 B on the wire",
    ]
    assert 'class="cut-line"' in svg


@pytest.mark.parametrize("edge_count", [0, 5, 387, 999])
def test_what_crosses_leaves_the_box_that_makes_it_for_the_boxes_that_read_it(edge_count: int) -> None:
    graph = _long_graph(1000)
    plan = _plan(graph, edge_count)
    stages = stages_of(graph, frozenset(plan.edge_ops), 16)
    layout = layout_of(graph, plan, stages, 0.0)
    for pill in layout.pills:
        (crossing,) = pill.tensors
        tensor = graph.tensors[crossing.tensor]
        source = layout.boxes[pill.source]
        assert source.kind == "input" if tensor.producer is None else tensor.producer in stages[source.stage].ops
        if pill.up:
            sinks = [stages[layout.boxes[sink].stage] for sink in pill.sinks]
            assert {op for stage in sinks for op in stage.ops} >= set(tensor.consumers) - set(plan.edge_ops)
            assert not any(stage.on_edge for stage in sinks)


def _fan_graph(width: int) -> ModelGraph:
    """One op that makes `width` tensors and one that reads them all; another reads one more of the first."""
    made = tuple(f"t{i}" for i in range(width))
    ops = (
        Op("split", "aten.split.Tensor", 0, ("x",), (*made, "u"), 0, 0, 0),
        Op("cat", "aten.cat.default", 0, made, ("y",), 0, 0, 0),
        Op("relu", "aten.relu.default", 0, ("u",), ("z",), 0, 0, 0),
    )
    consumers = {"x": ("split",), "u": ("relu",), "y": (), "z": (), **dict.fromkeys(made, ("cat",))}
    producers = {"x": None, "u": "split", "y": "cat", "z": "relu", **dict.fromkeys(made, "split")}
    tensors = {
        name: TensorInfo(name, "float32", (Dimension(1, 0),), producers[name], consumers[name], name in ("y", "z"))
        for name in producers
    }
    return ModelGraph(ops, tensors, ("x",), ("y", "z"))


def test_many_tensors_between_the_same_boxes_are_one_bundle() -> None:
    graph = _fan_graph(27)
    svg = cut_picture(graph, _plan(graph, 1))
    assert "↑ 27 tensors\nint8, 108 B → 189 B" in _texts(svg)
    assert "↑ u\nint8, 4 B → 7 B" in _texts(svg)
    (bundle,) = [title for title in _titles(svg) if title.startswith("27 tensors")]
    assert bundle.endswith(f"on the wire: {', '.join(f't{i}' for i in range(27))}")
    assert svg.count('class="crossing"') == 2 * (1 + 1 + 2)  # the bundle, u, and both answers


def test_a_dozen_tensors_that_cross_are_told_apart() -> None:
    graph = _fan_graph(11)
    assert sum(" as int8, 4 B" in title for title in _titles(cut_picture(graph, _plan(graph, 1)))) == 12


@pytest.mark.parametrize("edge_count", [0, 60, 387, 1000])
def test_nothing_overlaps(edge_count: int) -> None:
    graph = _long_graph(1000, block=("convolution", "relu"))
    plan = _plan(graph, edge_count)
    layout = layout_of(graph, plan, stages_of(graph, frozenset(plan.edge_ops), 16), 0.0)
    for column in ({box.x for box in layout.boxes}, {pill.x for pill in layout.pills}):
        for x in column:
            spans = [(b.y, b.y + b.height) for b in layout.boxes if b.x == x]
            spans += [(p.y, p.y + 44) for p in layout.pills if p.x == x]
            spans.sort()
            assert all(a[1] <= b[0] for a, b in pairwise(spans))


@pytest.mark.parametrize("most", [2, 3, 4, 24])
def test_stages_hold_every_op_once_and_never_mix_the_sides(model: Any, most: int) -> None:
    stages = stages_of(model.graph, frozenset({"stem", "body"}), most)
    assert [op for stage in stages for op in stage.ops] == [op.name for op in model.graph.ops]
    assert sum(len(stage.ops) for stage in stages if stage.on_edge) == 2
    assert len(stages) <= most


@pytest.mark.parametrize("most", [2, 7, 16])
@pytest.mark.parametrize("edge_count", [0, 1, 387, 999, 1000])
def test_a_long_model_has_few_stages(most: int, edge_count: int) -> None:
    graph = _long_graph(1000)
    stages = stages_of(graph, frozenset(op.name for op in graph.ops[:edge_count]), most)
    assert [op for stage in stages for op in stage.ops] == [op.name for op in graph.ops]
    assert len(stages) <= most


def test_repeated_blocks_are_one_stage_with_their_number() -> None:
    stages = stages_of(_long_graph(1000), frozenset(), 16)
    assert [(stage.repeats, stage.label) for stage in stages] == [(250, ("conv", "batch_norm"))]
    assert "250 × (conv, batch_norm)" in _texts(cut_picture(_long_graph(1000), _plan(_long_graph(1000), 0)))


def test_a_stage_reads_the_stage_that_makes_its_tensors(model: Any) -> None:
    stages = stages_of(model.graph, frozenset({"stem"}), 24)
    assert [stage.reads for stage in stages] == [(), (0,), (1,), (2,)]


def test_an_empty_side_has_no_stage(model: Any) -> None:
    assert not any(stage.on_edge for stage in stages_of(model.graph, frozenset(), 2))


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        ("abcabcabc", [(0, 3, 3)]),
        ("xxabababyy", [(2, 2, 3)]),
        ("aaaabcbcbcz", [(4, 2, 3), (0, 1, 4)]),
        ("abcdefgh", []),
    ],
)
def test_repeats_are_found_where_they_are(tokens: str, found: list[tuple[int, int, int]]) -> None:
    repeats = repeats_in(tokens, 4, lambda _: 0)
    assert [(r.start, r.period, r.count) for r in repeats] == sorted(found)


def test_of_like_repeats_the_one_whose_blocks_begin_best_is_taken() -> None:
    better: Callable[[int], int] = lambda at: 0 if at == 1 else 9  # noqa: E731
    (repeat,) = repeats_in("abcabcab", 4, better)
    assert (repeat.start, repeat.period, repeat.count) == (1, 3, 2)
