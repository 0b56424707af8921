"""Costs of a model between two devices: what the cut problem holds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from isthmus.errors import InvalidInput
from partitioner.cost_model import Costing, FileFacts, cut_problem, model_costs
from partitioner.cut_problem import CutProblem, TensorCost, evaluate
from partitioner.link import Link
from partitioner.partition import Setting
from partitioner.pseudo_names import FILE, PREPROCESS


def _problem(model: Any, setting: Setting, costing: Costing) -> CutProblem:
    return cut_problem(model, setting.edge, setting.cloud, setting.link, costing)


def _tensor(problem: CutProblem, name: str) -> TensorCost:
    return next(tensor for tensor in problem.tensors if tensor.name == name)


def test_ops_cost_what_the_profiles_say_and_the_round_trip_is_fixed(model: Any, setting: Setting) -> None:
    problem = _problem(model, setting, Costing())
    edge_s = setting.edge.op_seconds(model.graph, model.digest, 1)
    assert {op.name: op.edge_s for op in problem.ops} == edge_s
    assert problem.fixed_s == 0.002


def test_cloud_load_multiplies_cloud_times_alone(model: Any, setting: Setting) -> None:
    idle, busy = (_problem(model, setting, Costing(cloud_load=load)) for load in (1.0, 3.0))
    assert [op.cloud_s * 3 for op in idle.ops] == pytest.approx([op.cloud_s for op in busy.ops])
    assert [op.edge_s for op in idle.ops] == [op.edge_s for op in busy.ops]


def test_each_way_uses_its_own_bandwidth(model: Any, setting: Setting) -> None:
    problem = _problem(model, replace(setting, link=Link(8e6, 8e3, 0.0)), Costing())
    assert _tensor(problem, "narrow").uplink_s < 0.01
    assert _tensor(problem, "logits").downlink_s > 3


def test_private_inputs_must_not_cross(model: Any, setting: Setting) -> None:
    problem = _problem(model, setting, Costing(form="bytes", private_input=True))
    crossing = {name: _tensor(problem, name).uplink_s for name in ("image", f"{FILE}image", "narrow")}
    assert [math.isinf(seconds) for seconds in crossing.values()] == [True, True, False]


def test_the_tensor_form_has_no_pseudo_ops(model: Any, setting: Setting) -> None:
    assert [op.name for op in _problem(model, setting, Costing()).ops] == [op.name for op in model.graph.ops]


def test_the_bytes_form_pays_the_file_or_its_preprocessing(model: Any, setting: Setting) -> None:
    costs = model_costs(
        model, setting.edge, setting.cloud, setting.link, Costing(form="bytes", file=FileFacts(25_000, 10**6))
    )
    assert _tensor(costs.problem, f"{FILE}image").uplink_s == pytest.approx(0.01)
    assert costs.edge_s[f"{PREPROCESS}image"] == pytest.approx(0.01)
    assert costs.model_ops({f"{PREPROCESS}image", "stem"}) == {"stem"}


def test_a_preprocessed_input_may_cross_as_a_picture_codec(model: Any, setting: Setting) -> None:
    tensor, file = (_tensor(_problem(model, setting, Costing(form=form)), "image") for form in ("tensor", "bytes"))
    assert file.uplink_s < tensor.uplink_s


def test_a_cut_with_preprocessing_on_the_edge_can_be_evaluated(model: Any, setting: Setting) -> None:
    costs = model_costs(model, setting.edge, setting.cloud, setting.link, Costing(form="bytes"))
    file_crosses, tensor_crosses = costs.with_preprocessing([], ["image"]), costs.with_preprocessing([])
    assert costs.files_crossing(file_crosses) == ("image",)
    assert evaluate(costs.problem, file_crosses) != evaluate(costs.problem, tensor_crosses)


@pytest.mark.parametrize("change", [{"form": "picture"}, {"batch": 0}, {"cloud_load": math.nan}])
def test_costing_refuses_by_field(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(change))):
        Costing(**change)


def test_what_still_shows_a_private_input_must_not_cross(model: Any, setting: Setting) -> None:
    """A border around a picture hides nothing of it."""
    padded = replace(model.graph.ops[0], kind="pad")
    bordered = replace(model, graph=replace(model.graph, ops=(padded, *model.graph.ops[1:])))
    for network, crosses in ((model, True), (bordered, False)):
        problem = _problem(network, setting, Costing(private_input=True))
        assert math.isfinite(_tensor(problem, "wide").uplink_s) == crosses
