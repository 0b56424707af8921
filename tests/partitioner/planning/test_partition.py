"""The best plan of a model, and the plans beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from isthmus.errors import InfeasibleCut, InvalidInput, InvalidPlan
from partitioner.accuracy_rule import AccuracyTable
from partitioner.codec_choice import CodecSize
from partitioner.constraints import Constraints
from partitioner.cost_model import Costing, FileFacts, model_costs
from partitioner.front_end import model_from_module
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.measurements import CodecRate
from partitioner.min_cut import solve
from partitioner.partition import Setting, partition_graph, plan_for_cut, plans_to_compare
from partitioner.plan import CodecKey, Plan

BYTES = Costing(form="bytes", file=FileFacts(20_000, 300_000))


def _on(setting: Setting, bandwidth: str, rtt: str = "2ms", **costing: Any) -> Setting:
    return replace(setting, link=Link.of(bandwidth, rtt), costing=replace(setting.costing, **costing))


def test_the_cut_moves_with_the_link(model: Any, setting: Setting) -> None:
    kinds = [partition_graph(model, _on(setting, bandwidth)).kind for bandwidth in ("10kbps", "20mbps", "100gbps")]
    assert kinds == ["edge-only", "split", "cloud-only"]


def test_a_split_crosses_at_the_narrow_tensor(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, setting)
    assert (plan.edge_ops, [t.tensor for t in plan.boundary], plan.kept) == (("stem", "body"), ["narrow"], ())
    assert [t.tensor for t in plan.downlink] == ["logits"]


@pytest.mark.parametrize("form", ["tensor", "bytes"])
@pytest.mark.parametrize("bandwidth", ["10kbps", "1mbps", "20mbps", "300mbps", "100gbps"])
def test_the_prediction_is_the_cost_of_the_cut(model: Any, setting: Setting, bandwidth: str, form: str) -> None:
    here = _on(setting, bandwidth, form=form)
    best = solve(model_costs(model, here.edge, here.cloud, here.link, here.costing).problem)
    predicted = partition_graph(model, here).predicted
    assert predicted is not None
    assert predicted.total_s == pytest.approx(best.total_s, rel=1e-9)


@pytest.mark.parametrize("bandwidth", ["10kbps", "1mbps", "20mbps", "300mbps", "100gbps"])
def test_the_plan_is_never_worse_than_those_beside_it(model: Any, setting: Setting, bandwidth: str) -> None:
    here = replace(_on(setting, bandwidth), costing=BYTES)
    assert _total(partition_graph(model, here)) <= min(map(_total, plans_to_compare(model, here))) * (1 + 1e-9)


def _total(plan: Plan) -> float:
    assert plan.predicted is not None
    return plan.predicted.total_s


def test_a_small_file_crosses_as_it_arrived(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, replace(_on(setting, "1gbps"), costing=BYTES))
    assert [(t.tensor, t.codec, t.bytes) for t in plan.boundary] == [("image", "file", 20_000)]


def test_comparisons_cover_edge_tensor_file_and_picture(model: Any, setting: Setting) -> None:
    plans = plans_to_compare(model, replace(setting, costing=BYTES))
    assert [(p.kind, *(t.codec for t in p.boundary)) for p in plans] == [
        ("edge-only",),
        ("cloud-only", "zstd"),
        ("cloud-only", "file"),
        ("cloud-only", "png"),
    ]


def test_a_picture_codec_with_several_sizes_is_compared_once(model: Any, setting: Setting) -> None:
    measured = CodecSize("png", 0.2, True, "measured", applies_to="picture", tensor="image")
    plans = plans_to_compare(model, replace(setting, costing=replace(BYTES, codecs=(*BYTES.codecs, measured))))
    (png,) = (plan for plan in plans if plan.boundary and plan.boundary[0].codec == "png")
    assert png.boundary[0].bytes == round(0.2 * 4 * 150_528)


def test_a_picture_codec_is_compared_where_every_file_input_takes_it(model: Any, setting: Setting) -> None:
    """Of two pictures, JPEG keeps the budget for one alone."""
    image, graph = model.graph.tensors["image"], model.graph
    other = replace(image, name="mask")
    stem = replace(graph.ops[0], inputs=("image", "mask"))
    two = replace(
        graph,
        ops=(stem, *graph.ops[1:]),
        tensors={"image": image, "mask": other, **graph.tensors},
        inputs=("image", "mask"),
    )
    inputs = (*model.interface.inputs, replace(model.interface.inputs[0], name="mask"))
    pictures = replace(model, graph=two, interface=replace(model.interface, inputs=inputs))
    jpegs = tuple(CodecSize("jpeg", 0.02, False, "measured", "picture", tensor=name) for name in ("image", "mask"))
    rates = {"jpeg": setting.edge.codec_rates["png"]}
    sides = [replace(side, codec_rates={**side.codec_rates, **rates}) for side in (setting.edge, setting.cloud)]

    def compared(mask_loss: float) -> set[str]:
        losses: dict[CodecKey, float] = {("image", "jpeg", ()): 0.0, ("mask", "jpeg", ()): mask_loss}
        costing = replace(BYTES, codecs=(*BYTES.codecs, *jpegs), lossless=False, accuracy=AccuracyTable(0.02, losses))
        plans = plans_to_compare(pictures, Setting(sides[0], sides[1], setting.link, costing))
        return {tensor.codec for plan in plans for tensor in plan.boundary}

    assert compared(0.01) - compared(0.5) == {"jpeg"}
    assert {"file", "png"} <= compared(0.5)


@pytest.mark.parametrize("costing", [Costing(), BYTES])
def test_cloud_only_is_compared_in_what_keeps_to_the_wire_limit(model: Any, setting: Setting, costing: Costing) -> None:
    """Where compressing takes long bytes as they are would be quicker, and too many."""
    rates = {**setting.edge.codec_rates, "zstd": CodecRate(1e-6, 1e-5, 1e-6, 1e-5)}
    edge, cloud = (replace(side, codec_rates=rates) for side in (setting.edge, setting.cloud))
    quick = Setting(edge, cloud, Link.of("100gbps", "30ms"), costing)

    def tensors(here: Setting) -> list[Plan]:
        plans = [plan for plan in plans_to_compare(model, here) if plan.kind == "cloud-only"]
        return [plan for plan in plans if plan.boundary[0].codec in {"raw", "zstd"}]

    def sent(plan: Plan) -> int:
        return sum(tensor.bytes for tensor in (*plan.boundary, *plan.downlink))

    (free,) = tensors(quick)
    (limited,) = tensors(replace(quick, costing=replace(costing, constraints=Constraints(wire_bytes=sent(free) - 1))))
    assert sent(limited) < sent(free)
    assert {tensor.codec for tensor in (*free.boundary, *free.downlink)} == {"raw"}
    assert limited.form == costing.form


def test_comparisons_leave_out_what_privacy_forbids(model: Any, setting: Setting) -> None:
    private = replace(setting, costing=replace(BYTES, private_input=True))
    assert [plan.kind for plan in plans_to_compare(model, private)] == ["edge-only"]


def test_private_inputs_stay_on_the_edge(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, _on(setting, "100gbps", private_input=True))
    assert "stem" in plan.edge_ops


def test_a_model_that_requires_the_cloud_never_runs_on_the_edge_alone(model: Any, setting: Setting) -> None:
    big = replace(model, interface=replace(model.interface, autonomy="cloud-required"))
    assert partition_graph(big, _on(setting, "10kbps")).kind == "split"


def test_lossy_codecs_need_to_be_allowed(model: Any, setting: Setting) -> None:
    codecs = [partition_graph(model, _on(setting, "5mbps", lossless=lossless)).boundary for lossless in (True, False)]
    assert ["int8" in {t.codec for t in boundary} for boundary in codecs] == [False, True]


def test_a_codec_can_be_forced(model: Any, setting: Setting) -> None:
    plan = plan_for_cut(model, setting, ["stem"], {"wide": "raw"})
    assert [(t.tensor, t.codec, t.bytes) for t in plan.boundary] == [("wide", "raw", 1_600_000)]


@pytest.mark.parametrize(
    ("edge_ops", "codecs", "fault"),
    [
        (["body"], {}, "predecessor"),
        ([], {"image": "file"}, '"bytes" form'),
        ([], {"narrow": "raw"}, "does not cross"),
        ([], {"image": "int8"}, "cannot carry"),
    ],
)
def test_an_impossible_plan_names_its_fault(
    model: Any, setting: Setting, edge_ops: list[str], codecs: dict[str, str], fault: str
) -> None:
    with pytest.raises(InvalidPlan, match=fault):
        plan_for_cut(model, setting, edge_ops, codecs)


def test_an_unknown_objective_is_refused(model: Any, setting: Setting) -> None:
    with pytest.raises(InvalidInput, match="objective"):
        partition_graph(model, setting, objective="glory")


def test_rules_that_contradict_each_other_are_infeasible(model: Any, setting: Setting) -> None:
    one_op = replace(
        model.graph,
        ops=model.graph.ops[:1],
        tensors={
            "image": model.graph.tensors["image"],
            "wide": replace(model.graph.tensors["wide"], consumers=(), is_output=True),
        },
        outputs=("wide",),
    )
    big = replace(model, graph=one_op, interface=replace(model.interface, autonomy="cloud-required"))
    with pytest.raises(InfeasibleCut):
        partition_graph(big, _on(setting, "20mbps", private_input=True))


def test_provenance_says_where_the_numbers_come_from(model: Any, setting: Setting, op_times: Any) -> None:
    slowed = replace(setting.edge.with_op_times(op_times), slowdown=4.0)
    facts = partition_graph(model, replace(setting, edge=slowed)).provenance
    assert "measured op times" in facts["edge"]
    assert "emulated slowdown 4x" in facts["edge"]
    assert "roofline" in facts["cloud"]


def test_a_model_without_ops_has_plans(setting: Setting) -> None:
    """What comes in goes out: there is nothing to compute, and nothing to send."""
    same = model_from_module(nn.Identity(), (torch.zeros(2, 4),), "same")
    assert same.graph.ops == ()
    for objective in ("latency", "throughput"):
        plan = partition_graph(same, setting, objective)
        assert (plan.kind, plan.boundary) == ("edge-only", ())
    assert [entry.plan.kind for entry in frontier_of(same, setting).plans] == ["edge-only"]
    limited = replace(setting.costing, constraints=Constraints(edge_memory_bytes=1e6))
    assert partition_graph(same, replace(setting, costing=limited)).kind == "edge-only"
