"""Plans keep to the constraints, or the smallest reason why none can is said in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from isthmus.errors import InfeasibleCut, InvalidInput
from partitioner.accuracy_rule import AccuracyTable
from partitioner.condition import Condition
from partitioner.constraints import Constraints
from partitioner.frontier import frontier_of
from partitioner.graph import Dimension, ModelGraph
from partitioner.link import Link
from partitioner.memory import MemoryModel
from partitioner.onnx_front_end import model_from_onnx
from partitioner.partition import Setting, best_plan, gap_words, partition_graph, plans_to_compare
from partitioner.plan import codec_key
from tests.partitioner.test_onnx_front_end import proto, saved, weight

_LINKS = ("10kbps", "20mbps", "100gbps")


def _ruled(setting: Setting, private: bool = False, bandwidth: str = "20mbps", **rules: Any) -> Setting:
    costing = replace(setting.costing, private_input=private, constraints=Constraints(**rules))
    return replace(setting, link=Link.of(bandwidth, "2ms"), costing=costing)


def test_pinned_ops_stay_where_they_are_pinned(model: Any, setting: Setting) -> None:
    fast = _ruled(setting, bandwidth="100gbps", edge_ops=frozenset({"stem"}))
    slow = _ruled(setting, bandwidth="10kbps", cloud_ops=frozenset({"head"}))
    assert partition_graph(model, fast).edge_ops == ("stem",)
    assert "head" not in partition_graph(model, slow).edge_ops


def test_all_up_to_a_private_op_stays_on_the_edge(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, _ruled(setting, bandwidth="100gbps", private_up_to="body"))
    assert (plan.edge_ops, [t.tensor for t in plan.boundary]) == (("stem", "body"), ["narrow"])


def test_a_small_edge_gets_a_small_prefix(model: Any, setting: Setting) -> None:
    whole = MemoryModel(model.graph).edge(frozenset(op.name for op in model.graph.ops))
    free = _ruled(setting, bandwidth="10kbps")
    small = _ruled(setting, bandwidth="10kbps", edge_memory_bytes=whole - 1)
    assert partition_graph(model, free).kind == "edge-only"
    assert MemoryModel(model.graph).edge(frozenset(partition_graph(model, small).edge_ops)) < whole


@pytest.mark.parametrize(
    ("bandwidth", "side", "kind"),
    [("100gbps", "edge", "edge-only"), ("10kbps", "cloud", "cloud-only")],
)
def test_one_side_runs_it_all_where_no_split_is_allowed(
    model: Any, setting: Setting, bandwidth: str, side: str, kind: str
) -> None:
    rules = _ruled(setting, bandwidth=bandwidth, whole_on=(side,))
    assert partition_graph(model, rules).kind == kind
    assert {plan.kind for plan in plans_to_compare(model, rules)} == {kind}
    assert {entry.plan.kind for entry in frontier_of(model, rules).plans} == {kind}


def test_either_side_may_run_it_all_where_only_splits_are_not_allowed(model: Any, setting: Setting) -> None:
    rules = {bandwidth: _ruled(setting, bandwidth=bandwidth, whole_on=("edge", "cloud")) for bandwidth in _LINKS}
    kinds = {bandwidth: partition_graph(model, given).kind for bandwidth, given in rules.items()}
    assert kinds == {"10kbps": "edge-only", "20mbps": "edge-only", "100gbps": "cloud-only"}
    assert partition_graph(model, _ruled(setting)).kind == "split"
    plans = frontier_of(model, rules["20mbps"]).plans
    assert {entry.plan.kind for entry in plans} == {"edge-only", "cloud-only"}
    assert {plan.kind for plan in plans_to_compare(model, rules["20mbps"])} == {"edge-only", "cloud-only"}


def test_what_leaves_no_side_for_the_whole_is_said(model: Any, setting: Setting) -> None:
    rules = _ruled(setting, edge_ops=frozenset({"stem"}), whole_on=("cloud",), whole_words="a budget for cloud-only")
    with pytest.raises(InfeasibleCut, match=r"^pins to the edge and a budget for cloud-only: no cut keeps to both"):
        partition_graph(model, rules)


def test_a_wire_budget_keeps_the_narrow_cut(model: Any, setting: Setting) -> None:
    plan = partition_graph(model, _ruled(setting, bandwidth="100gbps", wire_bytes=20_000))
    assert sum(t.bytes for t in (*plan.boundary, *plan.downlink)) <= 20_000


def test_comparisons_keep_to_the_constraints(model: Any, setting: Setting) -> None:
    plans = plans_to_compare(model, _ruled(setting, wire_bytes=20_000))
    assert [plan.kind for plan in plans] == ["edge-only"]
    assert plans_to_compare(model, _ruled(setting, private_up_to="body", cloud_ops=frozenset({"head"}))) == ()


def test_the_frontier_keeps_to_pins_and_privacy(model: Any, setting: Setting) -> None:
    rules = _ruled(setting, private_up_to="body", cloud_ops=frozenset({"head"}))
    plans = frontier_of(model, rules).plans
    assert {entry.plan.edge_ops for entry in plans} <= {("stem", "body"), ("stem", "body", "grow")}


def _asks_for_the_batch(model: Any) -> Any:
    """`narrow` says nothing of the batch, which `grow` reads."""
    graph = model.graph
    narrow = replace(graph.tensors["narrow"], shape=(Dimension(0, 2000),))
    tensors = {**graph.tensors, "narrow": narrow}
    return replace(model, graph=ModelGraph(graph.ops, tensors, graph.inputs, graph.outputs, frozenset({"grow"})))


_SECRECY = [{"private": True}, {"private_up_to": "stem"}]


@pytest.mark.parametrize("secrecy", _SECRECY)
@pytest.mark.parametrize(("objective", "next_best"), [("latency", 4), ("throughput", 3)])
def test_a_secret_tensor_does_not_cross_to_tell_the_batch_size(
    model: Any, setting: Setting, secrecy: dict[str, Any], objective: str, next_best: int
) -> None:
    """The cut that would be the best without it is passed over; the next best is proven to be the best."""
    asking = _asks_for_the_batch(model)
    assert [tensor.tensor for tensor in partition_graph(asking, _ruled(setting)).boundary] == ["image", "narrow"]
    assert partition_graph(model, _ruled(setting, **secrecy), objective).edge_ops == ("stem", "body")
    found = best_plan(asking, _ruled(setting, **secrecy), objective)
    assert len(found.plan.edge_ops) == next_best
    assert found.gap == 0.0


@pytest.mark.parametrize("secrecy", _SECRECY)
def test_the_frontier_passes_over_cuts_that_a_secret_tensor_would_have_to_cross(
    model: Any, setting: Setting, secrecy: dict[str, Any]
) -> None:
    asking, here = _asks_for_the_batch(model), _ruled(setting, **secrecy)
    frontier = frontier_of(asking, here)
    assert frontier.gap == 0.0
    assert all(entry.plan.edge_ops != ("stem", "body") for entry in frontier.plans)
    for bandwidth in ("10kbps", "1mbps", "20mbps", "1gbps", "100gbps"):
        link = Link.of(bandwidth, "2ms")
        fresh = partition_graph(asking, replace(here, link=link)).predicted
        assert fresh is not None
        assert frontier.best(Condition(link)).total_s(Condition(link)) == pytest.approx(fresh.total_s, rel=1e-9)


def test_what_only_a_secret_tensor_could_tell_is_refused_by_its_name(model: Any, setting: Setting) -> None:
    asking = _asks_for_the_batch(model)
    pins: dict[str, Any] = {"edge_ops": frozenset({"body"}), "cloud_ops": frozenset({"grow"})}
    for find in (partition_graph, frontier_of):
        with pytest.raises(InfeasibleCut) as refused:
            find(asking, _ruled(setting, private=True, **pins))
        assert str(refused.value).startswith(
            "privacy and pins to the edge and pins to the cloud: the cloud could tell the batch size from 'image' alone"
        )


@pytest.mark.parametrize("limit", [{"wire_bytes": 20_000}, {"edge_memory_bytes": 2_204_000}])
def test_the_frontier_within_limits_has_the_plan_of_every_link(
    model: Any, setting: Setting, limit: dict[str, Any]
) -> None:
    frontier = frontier_of(model, _ruled(setting, **limit))
    assert frontier.gap == 0.0
    free = frontier_of(model, _ruled(setting))
    assert {entry.plan.plan_id for entry in frontier.plans} != {entry.plan.plan_id for entry in free.plans}
    for bandwidth in _LINKS:
        rules = _ruled(setting, bandwidth=bandwidth, **limit)
        best = partition_graph(model, rules)
        assert best.predicted is not None
        total_s = frontier.best(rules.condition).total_s(rules.condition)
        assert total_s == pytest.approx(best.predicted.total_s, rel=1e-9)


def test_edge_only_is_on_no_frontier_that_it_is_too_large_for(model: Any, setting: Setting) -> None:
    whole = MemoryModel(model.graph).edge(frozenset(op.name for op in model.graph.ops))
    kinds = {
        limit: {entry.plan.kind for entry in frontier_of(model, _ruled(setting, edge_memory_bytes=limit)).plans}
        for limit in (whole - 1, whole)
    }
    assert "edge-only" not in kinds[whole - 1]
    assert "edge-only" in kinds[whole]


@pytest.mark.parametrize(
    ("private", "rules", "reason"),
    [
        (True, {"edge_memory_bytes": 1e6}, "edge memory 1 MB: the ops kept on the edge by privacy need 2.2 MB"),
        (
            False,
            {"edge_memory_bytes": 1e6, "edge_ops": frozenset({"body"}), "wire_bytes": 5e6},
            "edge memory 1 MB: the ops kept on the edge by pins to the edge need 2.2 MB",
        ),
        (
            False,
            {"edge_ops": frozenset({"head"}), "cloud_ops": frozenset({"stem"})},
            "pins to the edge and pins to the cloud: no cut keeps to both",
        ),
        (
            False,
            {"cloud_ops": frozenset({"head"}), "wire_bytes": 1000},
            "wire 1 kB: the cuts left by pins to the cloud send 10.8 kB at least",
        ),
        (False, {"edge_memory_bytes": 1e3}, "edge memory 1 kB: even the inputs need 602 kB"),
    ],
)
def test_the_smallest_reason_is_said(
    model: Any, setting: Setting, private: bool, rules: dict[str, Any], reason: str
) -> None:
    for plan in (partition_graph, frontier_of):
        with pytest.raises(InfeasibleCut, match=reason) as refused:
            plan(model, _ruled(setting, private, **rules))
        assert "\n" not in str(refused.value)


def test_a_need_is_told_in_the_digits_that_tell_it_from_the_limit(model: Any, setting: Setting) -> None:
    needs = MemoryModel(model.graph).edge(frozenset({"stem", "body"}))
    with pytest.raises(InfeasibleCut, match=rf"edge memory {needs / 1e6:.3g} MB: .* need {needs / 1e6:.7g} MB;"):
        partition_graph(model, _ruled(setting, edge_memory_bytes=needs - 1, edge_ops=frozenset({"body"})))


def test_a_need_that_is_a_lower_bound_is_told_as_one(model: Any, setting: Setting) -> None:
    """`wide` waits for a reader in the cloud while `late` runs, or that reader's answer does: both take more."""
    ops = (
        replace(model.graph.ops[0], name="stem", inputs=("image",), outputs=("wide",)),
        replace(model.graph.ops[1], name="body", inputs=("wide",), outputs=("narrow",)),
        replace(model.graph.ops[2], name="late", inputs=("image",), outputs=("features",)),
        replace(model.graph.ops[3], name="head", inputs=("narrow", "features"), outputs=("logits",)),
    )
    made = {name: (op.name, tuple(o.name for o in ops if name in o.inputs)) for op in ops for name in op.outputs}
    tensors = {name: replace(model.graph.tensors[name], producer=p, consumers=c) for name, (p, c) in made.items()}
    tensors["image"] = replace(model.graph.tensors["image"], consumers=("stem", "late"))
    forked = replace(model, graph=ModelGraph(ops, tensors, ("image",), ("logits",)))
    forced = frozenset({"stem", "late"})
    memory = MemoryModel(forked.graph)
    assert memory.edge(forced) > memory.edge_at_least(forced)
    for limit, words in (
        (memory.edge_at_least(forced) - 1, " at least;"),
        (memory.edge(frozenset({"stem"})) - 1, " MB;"),
    ):
        pins = forced if words == " at least;" else frozenset({"stem"})
        with pytest.raises(InfeasibleCut, match=r"need [0-9.]+ MB") as refused:
            partition_graph(forked, _ruled(setting, edge_memory_bytes=limit, edge_ops=pins))
        assert (" at least;" in str(refused.value)) == (words == " at least;")


def test_an_accuracy_budget_is_part_of_the_reason(model: Any, setting: Setting) -> None:
    """In eight bits what crosses would be short enough, at a loss that nobody measured."""
    rules = _ruled(setting, cloud_ops=frozenset({"head"}), wire_bytes=6000)
    lossy = replace(rules, costing=replace(rules.costing, lossless=False))
    assert partition_graph(model, lossy).boundary[0].codec == "int8"
    careful = replace(lossy, costing=replace(lossy.costing, accuracy=AccuracyTable(0.02, {})))
    reason = "wire 6 kB: the cuts left by accuracy budget 0.02 and pins to the cloud send 10.8 kB at least"
    with pytest.raises(InfeasibleCut, match=reason):
        partition_graph(model, careful)


def test_an_accuracy_budget_that_is_in_nobodys_way_is_not_blamed(model: Any, setting: Setting) -> None:
    rules = _ruled(setting, edge_memory_bytes=1e3)
    careful = replace(rules.costing, lossless=False, accuracy=AccuracyTable(0.02, {}))
    with pytest.raises(InfeasibleCut, match=r"^edge memory 1 kB: even the inputs need"):
        partition_graph(model, replace(rules, costing=careful))


def test_what_is_proven_under_an_accuracy_budget_is_of_the_codecs_measured(model: Any, setting: Setting) -> None:
    costing = replace(setting.costing, lossless=False, accuracy=AccuracyTable(0.02, {}))
    facts = partition_graph(model, replace(setting, costing=costing)).provenance
    assert facts["gap"] == "0, proven best of the codecs measured"
    assert facts["accuracy"] == "each lossy codec alone keeps accuracy budget 0.02"


@pytest.mark.parametrize(("gap", "said"), [(0.0, "0 of"), (0.031, "up to 3.10% better may exist of")])
def test_nothing_is_proven_once_a_codec_was_taken_out_for_a_whole_plans_sake(gap: float, said: str) -> None:
    words = gap_words(gap, AccuracyTable(0.02, {}, pruned=True))
    assert words.startswith(
        f"{said} the codecs left (not proven best of those measured: a codec was taken out of every"
    )


def test_a_plan_says_that_a_codec_was_taken_out_for_a_whole_plans_sake(model: Any, setting: Setting) -> None:
    costing = replace(setting.costing, lossless=False, accuracy=AccuracyTable(0.02, {}, pruned=True))
    facts = partition_graph(model, replace(setting, costing=costing)).provenance
    assert facts["gap"].startswith("0 of the codecs left (not proven best of those measured: ")


def test_a_search_out_of_time_does_not_say_that_there_is_no_plan(model: Any, setting: Setting) -> None:
    whole = MemoryModel(model.graph).edge(frozenset(op.name for op in model.graph.ops))
    rules = _ruled(setting, bandwidth="10kbps", edge_memory_bytes=whole - 1)
    assert best_plan(model, rules).gap == 0.0
    with pytest.raises(InfeasibleCut, match="in time"):
        best_plan(model, rules, is_over=lambda: True)


def test_only_measured_codecs_within_the_budget_are_used(model: Any, setting: Setting) -> None:
    def codec_of(table: AccuracyTable) -> str:
        costing = replace(setting.costing, lossless=False, accuracy=table)
        return partition_graph(model, replace(setting, link=Link.of("5mbps", "2ms"), costing=costing)).boundary[0].codec

    losses = {codec_key("narrow", "int8", {}): 0.01}
    assert codec_of(AccuracyTable(0.02, losses)) == "int8"
    assert codec_of(AccuracyTable(0.005, losses)) == "zstd"
    assert codec_of(AccuracyTable(0.02, {})) == "zstd"
    assert codec_of(AccuracyTable(0.02, {}, unmeasured=True)) == "int8"


@pytest.mark.parametrize("budget", [-0.1, 1.1, float("nan")])
def test_an_accuracy_budget_that_is_none_is_refused(budget: float) -> None:
    with pytest.raises(InvalidInput, match="accuracy budget"):
        AccuracyTable(budget, {})


@pytest.mark.parametrize("limit", [-1.0, float("nan")])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(InvalidInput, match="wire bytes"):
        Constraints(wire_bytes=limit)


def test_an_unknown_op_is_named(model: Any, setting: Setting) -> None:
    with pytest.raises(InvalidInput, match=r"'hade'.* like head"):
        partition_graph(model, _ruled(setting, private_up_to="hade"))


def test_ops_may_be_called_as_parts_of_plans_are(setting: Setting, tmp_path: Path) -> None:
    """A weight that two ops read is counted once, whatever they are called."""
    names = ("preprocess:x", "edge:w", "cloud:w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["mixed"], name=names[0]),
        helper.make_node("Relu", ["mixed"], ["r"], name=names[1]),
        helper.make_node("MatMul", ["r", "w"], ["y"], name=names[2]),
    ]
    named = model_from_onnx(saved(tmp_path / "named.onnx", proto(nodes, [weight("w", 4, 4)])))
    rules = _ruled(setting, edge_ops=frozenset(names[:1]), edge_memory_bytes=1e9)
    assert partition_graph(named, rules).edge_ops == names
