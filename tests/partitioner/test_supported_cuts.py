"""All plans that win somewhere, against every plan there is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner import CutProblem, InfeasibleCut, solve
from partitioner.condition import Condition
from partitioner.cut_problem import OpCost
from partitioner.link import Link
from partitioner.parametric_problem import ParametricProblem, ParametricTensor, Transfer
from partitioner.supported_cuts import axes, supported_cuts
from tests.partitioner.random_problems import conditions, every_choice, problems, seconds


@given(problems(), st.data())
@settings(max_examples=150, deadline=None)
def test_the_optimum_of_every_condition_is_there(problem: ParametricProblem, data: st.DataObject) -> None:
    everything = list(every_choice(problem))
    if not everything:
        with pytest.raises(InfeasibleCut):
            supported_cuts(problem)
        return
    ratio = data.draw(st.sampled_from([1.0, 0.5, 7.0]))
    found = supported_cuts(problem, ratio)
    for condition in data.draw(st.lists(conditions(ratio), min_size=4, max_size=4)):
        least = min(choice.costs.seconds(condition) for choice in everything)
        assert min(cut.choice.costs.seconds(condition) for cut in found) == pytest.approx(least, rel=1e-9, abs=0)


@given(problems())
@settings(max_examples=100, deadline=None)
def test_every_one_wins_in_the_middle_of_its_region(problem: ParametricProblem) -> None:
    everything = list(every_choice(problem))
    if not everything:
        return
    for cut in supported_cuts(problem):
        middle = tuple(sum(column) for column in zip(*cut.region, strict=True))
        costs = [sum(w * c for w, c in zip(middle, axes(choice, 1.0), strict=True)) for choice in everything]
        own = sum(w * c for w, c in zip(middle, axes(cut.choice, 1.0), strict=True))
        assert own == pytest.approx(min(costs), rel=1e-9, abs=1e-300)


@given(problems())
@settings(max_examples=50, deadline=None)
def test_each_is_a_solution_with_its_own_costs(problem: ParametricProblem) -> None:
    everything = list(every_choice(problem))
    for cut in supported_cuts(problem) if everything else ():
        assert cut.choice in everything


@given(problems(forbidding=False), st.data())
@settings(max_examples=50, deadline=None)
def test_a_round_trip_adds_edge_only_and_nothing_else(problem: ParametricProblem, data: st.DataObject) -> None:
    edge_only = problem.choice([op.name for op in problem.ops], {}, {})
    offered = [*(cut.choice for cut in supported_cuts(problem)), edge_only]
    condition = data.draw(conditions())
    least = min(seconds(problem, choice, condition) for choice in every_choice(problem))
    assert min(seconds(problem, choice, condition) for choice in offered) == pytest.approx(least, rel=1e-9, abs=0)


@given(problems(most_ops=5), conditions())
@settings(max_examples=50, deadline=None)
def test_a_condition_makes_the_cut_problem_of_its_latency(problem: ParametricProblem, condition: Condition) -> None:
    cut_problem = problem.at(condition)
    costs = [seconds(problem, choice, condition) for choice in every_choice(problem)]
    if costs and not problem.cloud_required:
        assert solve(cut_problem).total_s == pytest.approx(min(costs), rel=1e-9, abs=0)
    assert isinstance(cut_problem, CutProblem)


def test_costs_over_many_decades_stay_apart() -> None:
    """Beside a cost of 1e9, one part in 2**40 of a cost of 1e-9 decides."""
    small, large = 1e-9, 1e9
    ways = [(Transfer("raw", 0.0, size, 0.0),) for size in (large, small, small * (1 + 2.0**-40), large)]
    tensors = [
        ParametricTensor("x", None, ("a",), ways[0]),
        ParametricTensor("y", "a", ("b",), ways[1]),
        ParametricTensor("z", "b", ("c",), ways[2]),
    ]
    problem = ParametricProblem((OpCost("a", 0, large), OpCost("b", 0, 0), OpCost("c", large, 0)), tuple(tensors))
    assert {"a"} in [cut.choice.edge_ops for cut in supported_cuts(problem)]
    assert {"a", "b"} not in [cut.choice.edge_ops for cut in supported_cuts(problem)]


@pytest.mark.parametrize("op_count", [300])
def test_large_graphs_agree_with_fresh_solves(op_count: int) -> None:
    rng = random.Random(op_count)
    tensors = [ParametricTensor("x", None, ("op0",), (Transfer("raw", 0.0, 5.0, 0.0),))]
    for i in range(op_count):
        readers = {f"op{i + 1}", f"op{min(op_count - 1, i + rng.randint(1, 9))}"} if i + 1 < op_count else set()
        ways = tuple(Transfer("", rng.random() / 9, rng.random(), rng.random() / 9) for _ in range(2))
        tensors.append(ParametricTensor(f"t{i}", f"op{i}", tuple(sorted(readers)), ways, not readers, ways))
    ops = tuple(OpCost(f"op{i}", rng.random(), rng.random() / 4) for i in range(op_count))
    problem = ParametricProblem(ops, tuple(tensors))
    found = supported_cuts(problem)
    for _ in range(20):
        bps = 10 ** rng.uniform(-2, 3)
        condition = Condition(Link(bps, bps, 0.0), 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-1, 1))
        best = min(cut.choice.costs.seconds(condition) for cut in found)
        assert best == pytest.approx(solve(problem.at(condition)).total_s, rel=1e-9)
