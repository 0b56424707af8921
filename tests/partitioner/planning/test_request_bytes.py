"""A plan holds one item's bytes, whatever batch it was made for; a request of several sends more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partitioner.codec_choice import DEFAULT_CODECS, CodecSize
from partitioner.constraints import Constraints
from partitioner.cost_model import Costing
from partitioner.graph import Dimension
from partitioner.link import Link
from partitioner.partition import Setting, partition_graph, plan_for_cut, plans_to_compare
from partitioner.plan import TensorCodec
from partitioner.request_bytes import request_bytes, request_spread_bytes

MEASURED = CodecSize("zstd", 0.5, True, "measured", tensor="narrow", spread=0.1, fixed_bytes=10)


def _of(setting: Setting, batch: int, **costing: Any) -> Setting:
    return replace(setting, costing=Costing(codecs=(*DEFAULT_CODECS, MEASURED), batch=batch, **costing))


@pytest.mark.parametrize("form", ["tensor", "bytes"])
@pytest.mark.parametrize("edge_ops", [(), ("stem", "body")])
def test_a_plan_for_a_batch_holds_the_bytes_of_one_item(
    model: Any, setting: Setting, form: str, edge_ops: tuple[str, ...]
) -> None:
    codecs = {"image": "file"} if form == "bytes" and not edge_ops else {}
    one, many = (plan_for_cut(model, _of(setting, batch, form=form), edge_ops, codecs) for batch in (1, 8))
    assert (one.boundary, one.downlink) == (many.boundary, many.downlink)
    if edge_ops:
        assert [(t.bytes, t.spread_bytes) for t in many.boundary] == [(4010, 401)]


def test_what_is_predicted_for_a_batch_is_of_all_its_items(model: Any, setting: Setting) -> None:
    slow = replace(_of(setting, 8), link=Link.of("1mbps", "0ms"))
    plan = plan_for_cut(model, slow, ("stem", "body"))
    assert plan.predicted is not None
    assert plan.predicted.uplink_s == pytest.approx((8 * 4000 + 10) * 8 / 1e6)
    assert plan.provenance["batch"] == "8"


def test_a_request_sends_as_much_more_as_its_tensors_are_larger(model: Any) -> None:
    fixed = replace(model.graph.tensors["wide"], shape=(Dimension(0, 5),))
    graph = replace(model.graph, tensors={**model.graph.tensors, "wide": fixed})
    sent = (TensorCodec("narrow", "zstd", bytes=100), TensorCodec("wide", "raw", bytes=20))
    assert request_bytes(sent, graph, 1) == 120
    assert request_bytes(sent, graph, 8) == 820


def test_items_of_a_request_make_up_for_each_other() -> None:
    assert request_spread_bytes(TensorCodec("narrow", "zstd", bytes=100, spread_bytes=10), 4) == 20


def test_a_wire_limit_is_of_a_whole_request(model: Any, setting: Setting) -> None:
    (item,) = (plan.uplink_bytes for plan in plans_to_compare(model, _of(setting, 1)) if plan.kind == "cloud-only")
    limit = Constraints(wire_bytes=2.0 * item)
    kinds = [[p.kind for p in plans_to_compare(model, _of(setting, batch, constraints=limit))] for batch in (1, 4)]
    assert kinds == [["edge-only", "cloud-only"], ["edge-only"]]


def test_the_best_plan_of_a_batch_has_one_items_bytes_too(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, _of(setting, 8))
    (tensor,) = plan.boundary
    assert tensor.bytes <= model.graph.tensors[tensor.tensor].bytes
