"""The picture of a cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from isthmus.errors import InvalidPlan
from partitioner.partition import Setting, partition_graph, plan_for_cut
from partitioner.picture import cut_picture
from partitioner.picture_stages import stages_of


def _texts(svg: str) -> str:
    return "\n".join(node.text or "" for node in ET.fromstring(svg).iter() if node.tag.endswith("text"))


def test_it_is_well_formed_and_names_what_crosses(model: Any, setting: Setting) -> None:
    shown = _texts(cut_picture(model.graph, partition_graph(model, setting)))
    assert "narrow as zstd, 7.2 kB" in shown
    assert "predicted" in shown


def test_names_are_escaped(model: Any, setting: Setting) -> None:
    plan = replace(partition_graph(model, setting), model="<script>&")
    assert "<script>&: split" in _texts(cut_picture(model.graph, plan))


def test_edge_only_crosses_nothing(model: Any, setting: Setting) -> None:
    plan = plan_for_cut(model, setting, [op.name for op in model.graph.ops])
    assert "stays on the edge: logits" in _texts(cut_picture(model.graph, plan))


def test_a_plan_of_another_graph_is_refused(model: Any, setting: Setting) -> None:
    plan = replace(partition_graph(model, setting), edge_ops=("nobody",))
    with pytest.raises(InvalidPlan, match="nobody"):
        cut_picture(model.graph, plan)


@pytest.mark.parametrize("most", [2, 3, 4, 24])
def test_stages_hold_every_op_once_and_never_mix_the_sides(model: Any, most: int) -> None:
    stages = stages_of(model.graph, frozenset({"stem", "body"}), most)
    assert sum(stage.op_count for stage in stages) == 4
    assert sum(stage.op_count for stage in stages if stage.on_edge) == 2
    assert len(stages) <= most


def test_a_stage_reads_the_stage_that_makes_its_tensors(model: Any) -> None:
    stages = stages_of(model.graph, frozenset({"stem"}), 24)
    assert [stage.reads for stage in stages] == [(), (0,), (1,), (2,)]


def test_an_empty_side_has_no_stage(model: Any) -> None:
    assert not any(stage.on_edge for stage in stages_of(model.graph, frozenset(), 2))
