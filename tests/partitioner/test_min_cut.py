"""`solve` against every cut there is, and at sizes where nobody can try them all."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner import CutProblem, InfeasibleCut, OpCost, TensorCost, solve
from partitioner.cut_problem import validate_cut

_DECADES = st.floats(-6, 6).map(lambda exponent: 10.0**exponent)
_COSTS = st.one_of(st.just(0.0), st.sampled_from([1.0, 2.0, 3.0]), _DECADES, st.just(math.inf))


@st.composite
def _problems(draw: st.DrawFn, costs: st.SearchStrategy[float] = _COSTS) -> CutProblem:
    names = [f"op{i}" for i in range(draw(st.integers(0, 7)))]
    made_by = draw(st.lists(st.sampled_from(names), max_size=10)) if names else []
    sources: list[str | None] = [*[None] * draw(st.integers(1, 2)), *made_by]
    tensors = []
    for i, producer in enumerate(sources):
        after = names if producer is None else names[names.index(producer) + 1 :]
        consumers = draw(st.lists(st.sampled_from(after), unique=True)) if after else []
        is_output = draw(st.booleans())
        tensors.append(TensorCost(f"t{i}", producer, consumers, draw(costs), is_output, draw(costs)))
    return CutProblem([OpCost(name, draw(costs), draw(costs)) for name in names], tensors, draw(costs))


def _cost_by_definition(problem: CutProblem, edge: set[str]) -> float:
    """The contract's sum, written anew; infinite for a set that is not closed."""
    total = [op.edge_s if op.name in edge else op.cloud_s for op in problem.ops]
    for t in problem.tensors:
        on_edge = t.producer is None or t.producer in edge
        if not on_edge and any(c in edge for c in t.consumers):
            return math.inf
        if on_edge and any(c not in edge for c in t.consumers):
            total.append(t.uplink_s)
        if not on_edge and t.is_output:
            total.append(t.downlink_s)
    if any(op.name not in edge for op in problem.ops):
        total.append(problem.fixed_s)
    return math.fsum(total)


def _least_of_all(problem: CutProblem) -> float:
    names = [op.name for op in problem.ops]
    subsets = itertools.chain.from_iterable(itertools.combinations(names, k) for k in range(len(names) + 1))
    return min(_cost_by_definition(problem, set(subset)) for subset in subsets)


@given(_problems())
@settings(max_examples=300, deadline=None)
def test_no_cut_is_cheaper(problem: CutProblem) -> None:
    least = _least_of_all(problem)
    if math.isinf(least):
        with pytest.raises(InfeasibleCut):
            solve(problem)
        return
    solution = solve(problem)
    validate_cut(problem, solution)
    assert solution.total_s == pytest.approx(least, rel=1e-12, abs=0)


@given(_problems(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_ops_and_tensors_does_not_matter(problem: CutProblem, rng: random.Random) -> None:
    shuffled = replace(
        problem,
        ops=rng.sample(problem.ops, len(problem.ops)),
        tensors=rng.sample(problem.tensors, len(problem.tensors)),
    )
    try:
        expected = solve(problem).edge_ops
    except InfeasibleCut:
        with pytest.raises(InfeasibleCut):
            solve(shuffled)
        return
    assert solve(shuffled).edge_ops == expected


def test_ties_go_to_the_edge() -> None:
    tensors = [TensorCost("x", None, ["a"], 0.0), TensorCost("y", "a", ["b"], 0.0)]
    assert solve(CutProblem([OpCost("a", 1, 1), OpCost("b", 1, 1)], tensors)).edge_ops == {"a", "b"}


def test_between_two_equal_splits_the_later_wins() -> None:
    tensors = [TensorCost("x", None, ["a"], 9), TensorCost("y", "a", ["b"], 1), TensorCost("z", "b", ["c"], 1)]
    problem = CutProblem([OpCost("a", 0, 0), OpCost("b", 0, 0), OpCost("c", 9, 0)], tensors)
    assert solve(problem).boundary == ("z",)


def test_the_fixed_cost_can_turn_a_cut_into_edge_only() -> None:
    problem = CutProblem([OpCost("a", 3, 1)], [TensorCost("x", None, ["a"], 1)])
    assert solve(problem).edge_ops == set()
    assert solve(replace(problem, fixed_s=1.5)).edge_ops == {"a"}


def test_an_op_forbidden_on_the_edge_goes_to_the_cloud() -> None:
    problem = CutProblem([OpCost("a", math.inf, 1)], [TensorCost("x", None, ["a"], 9)], fixed_s=5)
    assert solve(problem).total_s == 15


def test_a_tensor_that_must_not_cross_keeps_its_consumers_on_the_edge() -> None:
    tensors = [TensorCost("x", None, ["a"], math.inf), TensorCost("y", "a", ["b"], 1)]
    solution = solve(CutProblem([OpCost("a", 100, 1), OpCost("b", 100, 1)], tensors))
    assert (set(solution.edge_ops), solution.boundary) == ({"a"}, ("y",))


def test_contradicting_constraints_are_infeasible() -> None:
    with pytest.raises(InfeasibleCut):
        solve(CutProblem([OpCost("a", math.inf, 1)], [TensorCost("x", None, ["a"], math.inf)]))


def test_an_op_forbidden_everywhere_is_infeasible() -> None:
    with pytest.raises(InfeasibleCut):
        solve(CutProblem([OpCost("a", math.inf, math.inf)], []))


def test_an_infinite_fixed_cost_leaves_edge_only() -> None:
    problem = CutProblem([OpCost("a", 9, 1)], [TensorCost("x", None, ["a"], 1)], fixed_s=math.inf)
    assert solve(problem).edge_ops == {"a"}


def test_a_problem_without_ops_costs_nothing() -> None:
    assert solve(CutProblem([], [TensorCost("x", None, [], 1.0)])).total_s == 0


def test_the_boundary_follows_the_order_of_tensors() -> None:
    tensors = [TensorCost("late", None, ["a"], 0), TensorCost("early", None, ["a"], 0)]
    assert solve(CutProblem([OpCost("a", 1, 0)], tensors)).boundary == ("late", "early")


@pytest.mark.parametrize("scale", [1e-140, 1e-9, 1.0, 1e9, 1e100])
@pytest.mark.parametrize("contrast", [1.0e3, 1e12, 1e30])
def test_differences_far_below_int32_decide(scale: float, contrast: float) -> None:
    """One part in 2**40 between two cuts beside far larger costs; were it lost, the tie would go to the other cut."""
    tensors = [
        TensorCost("x", None, ["a"], contrast * scale),
        TensorCost("y", "a", ["b"], scale),
        TensorCost("z", "b", ["c"], (1 + 2.0**-40) * scale),
    ]
    problem = CutProblem([OpCost("a", 0, 0), OpCost("b", 0, 0), OpCost("c", contrast * scale, 0)], tensors)
    assert solve(problem).boundary == ("y",)


def _layered(op_count: int, seed: int) -> CutProblem:
    rng = random.Random(seed)
    tensors = [TensorCost("x", None, ["op0"], 0.5)]
    for i in range(op_count):
        last = min(op_count - 1, i + 10)
        consumers = {f"op{rng.randint(i + 1, last)}" for _ in range(rng.randint(1, 3))} if i < last else set()
        tensors.append(TensorCost(f"t{i}", f"op{i}", sorted(consumers), rng.random(), not consumers, 0.01))
    return CutProblem([OpCost(f"op{i}", rng.random(), rng.random()) for i in range(op_count)], tensors, 0.03)


@pytest.mark.parametrize("op_count", [1000, 5000])
def test_large_graphs_have_locally_optimal_cuts(op_count: int) -> None:
    problem = _layered(op_count, seed=op_count)
    solution = solve(problem)
    validate_cut(problem, solution)
    for op in random.Random(0).sample(problem.ops, 40):
        moved = set(solution.edge_ops) ^ {op.name}
        assert _cost_by_definition(problem, moved) >= solution.total_s * (1 - 1e-12)
