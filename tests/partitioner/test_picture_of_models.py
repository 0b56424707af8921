"""Pictures of real graphs: several inputs and outputs, outputs made early, outputs that are inputs."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from partitioner.picture import cut_picture
from partitioner.plan import Plan, TensorCodec
from tests.partitioner.conftest import Case


def _plan(case: Case, edge_count: int) -> Plan:
    graph = case.model.graph
    edge = tuple(op.name for op in graph.ops[:edge_count])
    kept = graph.kept(edge)
    down = tuple(TensorCodec(name, "raw") for name in dict.fromkeys(graph.outputs) if name not in kept)
    boundary = tuple(TensorCodec(name, "raw") for name in graph.boundary(edge))
    return Plan(case.name, case.model.digest, "tensor", edge, boundary, down, kept)


def test_every_cut_of_every_model_is_drawn_with_all_that_crosses(case: Case) -> None:
    for edge_count in range(len(case.model.graph.ops) + 1):
        plan = _plan(case, edge_count)
        svg = ET.fromstring(cut_picture(case.model.graph, plan, most_stages=6))
        titles = [node.text or "" for node in svg.iter() if node.tag.endswith("title")]
        for tensor in (*plan.boundary, *plan.downlink):
            assert any(title.startswith(f"{tensor.tensor} as raw") for title in titles)
