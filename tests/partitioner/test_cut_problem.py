"""What a cut problem accepts, and what a cut of it costs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from isthmus.errors import InvalidInput, InvalidPlan
from partitioner import CutProblem, CutSolution, OpCost, TensorCost
from partitioner.cut_problem import evaluate, validate_cut


@pytest.fixture
def fan_out() -> CutProblem:
    """x -> a -> y -> (b, c); b makes an output."""
    return CutProblem(
        ops=[OpCost("a", 1, 10), OpCost("b", 2, 20), OpCost("c", 4, 40)],
        tensors=[
            TensorCost("x", None, ["a"], 100),
            TensorCost("y", "a", ["b", "c"], 200),
            TensorCost("z", "b", [], 400, is_output=True, downlink_s=800),
        ],
        fixed_s=1600,
    )


def test_edge_only_pays_edge_times_alone(fan_out: CutProblem) -> None:
    assert evaluate(fan_out, ["a", "b", "c"]) == 7


def test_cloud_only_pays_inputs_downlink_and_fixed(fan_out: CutProblem) -> None:
    assert evaluate(fan_out, []) == 70 + 100 + 800 + 1600


def test_a_tensor_with_two_cloud_consumers_is_paid_once(fan_out: CutProblem) -> None:
    assert evaluate(fan_out, ["a"]) == 1 + 60 + 200 + 800 + 1600


def test_an_output_made_on_the_edge_pays_no_downlink(fan_out: CutProblem) -> None:
    assert evaluate(fan_out, ["a", "b"]) == 3 + 40 + 200 + 1600


def test_an_input_that_is_an_output_pays_no_downlink() -> None:
    problem = CutProblem([OpCost("a", 1, 2)], [TensorCost("x", None, ["a"], 4, is_output=True, downlink_s=8)])
    assert evaluate(problem, []) == 6


def test_a_set_that_is_not_closed_names_the_missing_predecessor(fan_out: CutProblem) -> None:
    with pytest.raises(InvalidPlan, match="'b' without its predecessor 'a'"):
        evaluate(fan_out, ["b"])


def test_an_unknown_edge_op_is_named(fan_out: CutProblem) -> None:
    with pytest.raises(InvalidInput, match="nobody"):
        evaluate(fan_out, ["a", "nobody"])


@pytest.mark.parametrize("cost", [math.nan, -1.0, -math.inf, 1e200, "a lot", None])
@pytest.mark.parametrize("field", ["edge_s", "cloud_s"])
def test_what_is_no_cost_is_refused_by_field(field: str, cost: object) -> None:
    with pytest.raises(InvalidInput, match=f"op 'a': {field}"):
        replace(OpCost("a", 1, 1), **{field: cost})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["uplink_s", "downlink_s"])
def test_a_tensor_refuses_a_nan_by_field(field: str) -> None:
    with pytest.raises(InvalidInput, match=f"tensor 'x': {field}"):
        replace(TensorCost("x", None, ["a"], 1), **{field: math.nan})  # type: ignore[arg-type]


def test_a_nan_fixed_cost_is_refused(fan_out: CutProblem) -> None:
    with pytest.raises(InvalidInput, match="fixed_s"):
        replace(fan_out, fixed_s=math.nan)


def test_consumers_given_as_one_text_are_refused() -> None:
    with pytest.raises(InvalidInput, match="consumers"):
        TensorCost("x", None, "conv", 1)


def test_a_consumer_given_twice_counts_once() -> None:
    assert TensorCost("x", None, ["a", "b", "a"], 1).consumers == ("a", "b")


def test_two_ops_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"ops: .*twice.*'a'"):
        CutProblem([OpCost("a", 1, 1), OpCost("a", 2, 2)], [])


def test_two_tensors_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"tensors: .*twice"):
        CutProblem([], [TensorCost("x", None, [], 1), TensorCost("x", None, [], 1)])


def test_an_unknown_producer_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"producer.*'ghost'"):
        CutProblem([OpCost("a", 1, 1)], [TensorCost("x", "ghost", ["a"], 1)])


def test_an_unknown_consumer_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"consumers.*'ghost'"):
        CutProblem([OpCost("a", 1, 1)], [TensorCost("x", "a", ["ghost"], 1)])


def test_a_cycle_is_refused_and_named() -> None:
    ops = [OpCost("a", 1, 1), OpCost("b", 1, 1), OpCost("c", 1, 1)]
    with pytest.raises(InvalidInput, match=r"cycle.*\['a', 'b'\]"):
        CutProblem(ops, [TensorCost("x", "a", ["b"], 1), TensorCost("y", "b", ["a"], 1)])


def test_validate_accepts_a_cut_with_its_cost(fan_out: CutProblem) -> None:
    validate_cut(fan_out, CutSolution(frozenset({"a"}), ("y",), 2661))


@pytest.mark.parametrize(
    ("solution", "fault"),
    [
        (CutSolution(frozenset({"b"}), (), 1), "predecessor"),
        (CutSolution(frozenset({"a"}), ("x",), 2661), "boundary"),
        (CutSolution(frozenset({"a"}), ("y",), 2660), "total_s"),
    ],
)
def test_validate_names_the_fault(fan_out: CutProblem, solution: CutSolution, fault: str) -> None:
    with pytest.raises(InvalidPlan, match=fault):
        validate_cut(fan_out, solution)


def test_validate_refuses_a_forbidden_cut(fan_out: CutProblem) -> None:
    forbidden = replace(fan_out, fixed_s=math.inf)
    with pytest.raises(InvalidPlan, match="forbidden"):
        validate_cut(forbidden, CutSolution(frozenset(), ("x",), math.inf))
