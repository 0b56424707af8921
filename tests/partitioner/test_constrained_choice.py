"""Objectives and budgets against every plan there is."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from isthmus.errors import InfeasibleCut
from partitioner.condition import Condition
from partitioner.constrained_choice import ConstrainedChoice, NothingInTime
from partitioner.constraints import Constraints
from partitioner.cost_model import Costing
from partitioner.cut_problem import OpCost
from partitioner.graph import Dimension, ModelGraph, Op, TensorInfo
from partitioner.measurements import Power, Price, Provenance
from partitioner.memory import MemoryModel
from partitioner.objectives import Objective, Stage, objective_for
from partitioner.parametric_problem import CutChoice, ParametricProblem, ParametricTensor, Transfer
from partitioner.profiles import DeviceProfile
from partitioner.refusal import Rules, refusal
from partitioner.setting import Setting
from tests.partitioner.random_problems import COSTS, conditions, every_choice, problems

_PRICES = st.one_of(st.just(0.0), st.floats(0.01, 100.0))
_STAGES = st.builds(Stage, _PRICES, _PRICES, _PRICES, _PRICES, _PRICES)


def never() -> bool:
    """No time limit."""
    return False


def graph_of(problem: ParametricProblem, seed: int) -> ModelGraph:
    """A model graph of the same ops, with tensors and weights of a few bytes; some weights have several readers."""
    rng = random.Random(seed)
    weights = {f"w{i}": rng.randint(1, 9) for i in range(4)}
    ops = tuple(
        Op(
            op.name,
            "relu",
            1,
            tuple(t.name for t in problem.tensors if op.name in t.consumers),
            tuple(t.name for t in problem.tensors if t.producer == op.name),
            0,
            1,
            0,
            tuple(sorted(rng.sample(sorted(weights), rng.randint(0, 2)))),
        )
        for op in problem.ops
    )
    tensors = {
        t.name: TensorInfo(t.name, "int8", (Dimension(0, rng.randint(1, 9)),), t.producer, t.consumers, t.is_output)
        for t in problem.tensors
    }
    inputs = tuple(t.name for t in problem.tensors if t.producer is None)
    outputs = tuple(t.name for t in problem.tensors if t.is_output)
    return ModelGraph(ops, tensors, inputs, outputs, frozenset(), weights)


def _keeps(graph: ModelGraph, rules: Constraints, choice: CutChoice) -> bool:
    memory, edge = MemoryModel(graph), choice.edge_ops
    return (
        rules.edge_ops <= edge
        and rules.cloud_ops.isdisjoint(edge)
        and memory.edge(edge) <= rules.edge_memory_bytes
        and memory.cloud(edge) <= rules.cloud_memory_bytes
        and choice.costs.uplink_bytes + choice.costs.downlink_bytes <= rules.wire_bytes
    )


def _value(problem: ParametricProblem, objective: Objective) -> Callable[[CutChoice], float]:
    return lambda choice: objective.value(choice.costs, len(choice.edge_ops) < len(problem.ops))


def _is_best(problem: ParametricProblem, graph: ModelGraph, rules: Constraints, objective: Objective) -> bool:
    """Whether the search agrees with all plans tried; what differs fails by its own assertion."""
    allowed = [choice for choice in every_choice(problem) if _keeps(graph, rules, choice)]
    value = _value(problem, objective)
    try:
        found = ConstrainedChoice(problem, graph, rules).best(objective, never)
    except InfeasibleCut:
        found = None
    if not allowed:
        return found is None or found.choice is None
    assert found is not None
    assert found.choice in allowed
    assert found.gap == 0.0
    assert found.value == pytest.approx(value(found.choice), rel=1e-9, abs=1e-300)
    return found.value == pytest.approx(min(map(value, allowed)), rel=1e-8, abs=1e-300)


@given(problems(5), st.lists(_STAGES, min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_least_of_the_dearest_stage_is_found_and_proven(problem: ParametricProblem, stages: list[Stage]) -> None:
    assert _is_best(problem, graph_of(problem, 0), Constraints(), Objective("slowest", "s", tuple(stages)))


_WEIGHTS = st.one_of(st.just(0.0), st.floats(0.01, 10.0))


def _device(name: str) -> DeviceProfile:
    """With a power and a price."""
    made = Provenance("2026-01-01T00:00:00Z", name, "2.13", 0.1, False, "glibc")
    power, price = Power(5.0, 1.0, 2.0, "declared"), Price(0.5, "declared")
    return DeviceProfile("cpu", name, 1, 1.0, {"float32": 1.0}, 1.0, 0.0, {}, made, power=power, price=price)


@given(
    problems(5),
    st.dictionaries(st.sampled_from(["latency", "energy", "cost"]), _WEIGHTS, min_size=1),
    _WEIGHTS,
    conditions(),
)
@settings(max_examples=60, deadline=None)
def test_any_weighted_sum_is_found_and_proven(
    problem: ParametricProblem, weights: dict[str, float], throughput: float, condition: Condition
) -> None:
    """What it is worth is what its parts are, added up; and no plan is worth less than the one found."""
    weights = {name: weight for name, weight in {**weights, "throughput": throughput}.items() if weight}
    assume(len(weights) > 0)  # a sum that weighs nothing is refused
    if len(weights) == 1:
        weights = dict.fromkeys(weights, 1.0)  # as it is read
    costing = Costing(edge_load=condition.edge_load, cloud_load=condition.cloud_load)
    setting = Setting(_device("edge"), _device("cloud"), condition.link, costing)
    objective = objective_for(weights, setting)
    parts = {name: objective_for(name, setting) for name in weights}
    value = _value(problem, objective)
    for choice in every_choice(problem):
        added_up = math.fsum(weight * _value(problem, parts[name])(choice) for name, weight in weights.items())
        assert value(choice) == pytest.approx(added_up, rel=1e-9, abs=1e-300)
    assert _is_best(problem, graph_of(problem, 0), Constraints(), objective)


@given(problems(5), _STAGES, st.sets(st.integers(0, 4)), st.sets(st.integers(0, 4)))
@settings(max_examples=60, deadline=None)
def test_one_stage_with_pins_is_a_minimum_cut(
    problem: ParametricProblem, stage: Stage, edge: set[int], cloud: set[int]
) -> None:
    names = [op.name for op in problem.ops]
    rules = Constraints(
        frozenset(names[i] for i in edge if i < len(names)), frozenset(names[i] for i in cloud if i < len(names))
    )
    assert _is_best(problem, graph_of(problem, 0), rules, Objective("price", "", (stage,)))


@given(problems(5), _STAGES, COSTS, st.integers(5, 60), st.integers(5, 60), st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_budgets_are_kept_and_the_best_within_them_proven(
    problem: ParametricProblem, stage: Stage, wire: float, edge: int, cloud: int, seed: int
) -> None:
    rng = random.Random(seed)
    budgets = (float(edge), float(cloud), wire)
    rules = Constraints(frozenset(), frozenset(), "", *(b if rng.random() < 0.6 else math.inf for b in budgets))
    assert _is_best(problem, graph_of(problem, seed), rules, Objective("price", "", (stage,)))


@given(problems(4), st.lists(_STAGES, min_size=2, max_size=3), COSTS, st.integers(5, 60), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_stages_and_budgets_together(
    problem: ParametricProblem, stages: list[Stage], wire: float, edge: int, seed: int
) -> None:
    rules = Constraints(edge_memory_bytes=edge, wire_bytes=wire)
    assert _is_best(problem, graph_of(problem, seed), rules, Objective("slowest", "", tuple(stages)))


@given(problems(4, forbidding=False), st.lists(_STAGES, min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_a_search_that_is_stopped_says_how_far_it_may_be_off(problem: ParametricProblem, stages: list[Stage]) -> None:
    objective = Objective("slowest", "s", tuple(stages))
    found = ConstrainedChoice(problem, graph_of(problem, 0), Constraints()).best(objective, lambda: True)
    least = min(map(_value(problem, objective), every_choice(problem)))
    assert found.value * (1 - found.gap) <= least * (1 + 1e-8) + 1e-300


@st.composite
def asking_graphs(draw: st.DrawFn) -> tuple[ParametricProblem, ModelGraph]:
    """Ops that read the batch size, which inputs and perhaps others tell; inputs must not cross, and perhaps others."""
    problem = draw(problems(4, forbidding=False))
    hidden = {t.name for t in problem.tensors if t.producer is None}
    hidden |= draw(st.sets(st.sampled_from([t.name for t in problem.tensors]), max_size=1))
    problem = replace(problem, tensors=tuple(replace(t, uplink=()) if t.name in hidden else t for t in problem.tensors))
    graph = graph_of(problem, draw(st.integers(0, 9)))
    told = set(graph.inputs) | draw(st.sets(st.sampled_from(sorted(graph.tensors)), max_size=1))
    shapes = {name: (Dimension(int(name in told), 5),) for name in graph.tensors}
    tensors = {name: replace(one, shape=shapes[name]) for name, one in graph.tensors.items()}
    readers = frozenset(draw(st.sets(st.sampled_from([op.name for op in graph.ops]), min_size=1)))
    return problem, replace(graph, tensors=tensors, batch_readers=readers)


@given(asking_graphs(), st.lists(_STAGES, min_size=1, max_size=2), conditions())
@settings(max_examples=150, deadline=None)
def test_no_secret_crosses_to_tell_the_batch_size(
    asking: tuple[ParametricProblem, ModelGraph], stages: list[Stage], condition: Condition
) -> None:
    """The best of those that send none, and all that are the best under some condition."""
    problem, graph = asking
    hidden = {tensor.name for tensor in problem.tensors if not tensor.uplink}
    allowed = [one for one in every_choice(problem) if hidden.isdisjoint(graph.boundary(one.edge_ops))]
    cuts, objective = ConstrainedChoice(problem, graph, Constraints()), Objective("slowest", "", tuple(stages))
    if not allowed:
        for find in (lambda: cuts.best(objective, never).choice, lambda: cuts.all_best(1.0, never)):
            with contextlib.suppress(InfeasibleCut):
                assert find() is None
        return
    found, (supported, gap) = cuts.best(objective, never), cuts.all_best(1.0, never)
    assert found.choice in allowed
    assert (found.gap, gap) == (0.0, 0.0)
    least = min(map(_value(problem, objective), allowed))
    assert found.value == pytest.approx(least, rel=1e-8, abs=1e-300)
    assert all(cut.choice in allowed for cut in supported)
    best_s = min(choice.costs.seconds(condition) for choice in allowed)
    assert min(cut.choice.costs.seconds(condition) for cut in supported) == pytest.approx(best_s, rel=1e-8, abs=0)


def _budgeted(seed: int, edge: float, cloud: float, wire: float) -> Constraints:
    """Some of these budgets, one at least."""
    rng = random.Random(seed)
    kept = rng.sample(range(3), rng.randint(1, 3))
    limits = [limit if i in kept else math.inf for i, limit in enumerate((edge, cloud, wire))]
    return Constraints(frozenset(), frozenset(), "", *limits)


@given(problems(4), COSTS, st.integers(5, 60), st.integers(5, 60), st.integers(0, 99), st.data())
@settings(max_examples=80, deadline=None)
def test_within_budgets_the_optimum_of_every_condition_is_there(
    problem: ParametricProblem, wire: float, edge: int, cloud: int, seed: int, data: st.DataObject
) -> None:
    rules, graph = _budgeted(seed, edge, cloud, wire), graph_of(problem, seed)
    allowed = [choice for choice in every_choice(problem) if _keeps(graph, rules, choice)]
    ratio = data.draw(st.sampled_from([1.0, 7.0]))
    if not allowed:
        with pytest.raises(InfeasibleCut):
            ConstrainedChoice(problem, graph, rules).all_best(ratio, never)
        return
    found, gap = ConstrainedChoice(problem, graph, rules).all_best(ratio, never)
    assert gap == 0.0
    assert all(cut.choice in allowed for cut in found)
    for condition in data.draw(st.lists(conditions(ratio), min_size=4, max_size=4)):
        least = min(choice.costs.seconds(condition) for choice in allowed)
        assert min(cut.choice.costs.seconds(condition) for cut in found) == pytest.approx(least, rel=1e-8, abs=0)


@pytest.mark.parametrize(("ratio", "winners"), [(0.1, [0, 1]), (1.0, [1])])
def test_within_limits_a_quick_way_down_counts_as_such(ratio: float, winners: list[int]) -> None:
    """All in the cloud sends 1 byte and brings 10 back; with the first op on the edge 5 and 1, and less computing."""

    def way(size: float) -> tuple[Transfer, ...]:
        return (Transfer("", 0.0, size, 0.0),)

    tensors = (
        ParametricTensor("x", None, ("a",), way(1.0)),
        ParametricTensor("kept", "a", (), (), True, way(9.0)),
        ParametricTensor("mid", "a", ("b",), way(5.0)),
        ParametricTensor("y", "b", (), (), True, way(1.0)),
    )
    problem = ParametricProblem((OpCost("a", 0.0, 1.0), OpCost("b", math.inf, 0.0)), tensors)
    rules = Constraints(wire_bytes=100)
    found, _ = ConstrainedChoice(problem, graph_of(problem, 0), rules).all_best(ratio, never)
    assert sorted(len(cut.choice.edge_ops) for cut in found) == winners


@given(problems(4, forbidding=False), st.integers(5, 60), st.integers(0, 9), st.integers(1, 30), conditions())
@settings(max_examples=80, deadline=None)
def test_a_frontier_that_is_stopped_says_how_far_it_may_be_off(
    problem: ParametricProblem, edge: int, seed: int, steps: int, condition: Condition
) -> None:
    rules, graph, asked = Constraints(edge_memory_bytes=edge), graph_of(problem, seed), itertools.count()
    allowed = [choice for choice in every_choice(problem) if _keeps(graph, rules, choice)]
    try:
        found, gap = ConstrainedChoice(problem, graph, rules).all_best(1.0, lambda: next(asked) >= steps)
    except NothingInTime:
        return
    except InfeasibleCut:
        assert not allowed
        return
    least = min(choice.costs.seconds(condition) for choice in allowed)
    best = min(cut.choice.costs.seconds(condition) for cut in found)
    assert best * (1 - gap) <= least * (1 + 1e-8) + 1e-300


# Ops side by side, whose sides and codecs are free: knapsacks, where a Lagrangian bound alone often leaves a gap.


def _side_by_side(edge_s: list[int], cloud_s: list[int], ways: list[list[tuple[int, int]]]) -> ParametricProblem:
    """Op i reads its own input, which crosses in any of its ways (coding seconds on the edge, bytes)."""
    ops = tuple(OpCost(f"op{i}", e, c) for i, (e, c) in enumerate(zip(edge_s, cloud_s, strict=True)))
    tensors = tuple(
        ParametricTensor(f"x{i}", None, (f"op{i}",), tuple(Transfer("", s, b, 0.0) for s, b in options))
        for i, options in enumerate(ways)
    )
    return ParametricProblem(ops, tensors)


@st.composite
def _knapsacks(draw: st.DrawFn, most_ops: int = 6) -> ParametricProblem:
    count = draw(st.integers(2, most_ops))
    seconds = st.lists(st.integers(1, 20), min_size=count, max_size=count)
    options = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=2)
    return _side_by_side(draw(seconds), draw(seconds), draw(st.lists(options, min_size=count, max_size=count)))


@given(_knapsacks(), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_work_is_balanced_between_the_sides(problem: ParametricProblem, crossing: int) -> None:
    stages = (Stage(edge_s=1.0, crossing=crossing / 2), Stage(cloud_s=1.0, crossing=crossing), Stage(uplink_bytes=0.5))
    assert _is_best(problem, graph_of(problem, 0), Constraints(), Objective("slowest", "s", stages))


@given(_knapsacks(), st.integers(5, 60), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_codecs_share_a_wire_budget(problem: ParametricProblem, wire: int, crossing: int) -> None:
    price = Objective("latency", "s", (Stage(1.0, 0.1, 0.1, 1.0, crossing),))
    assert _is_best(problem, graph_of(problem, 0), Constraints(wire_bytes=wire), price)


@given(_knapsacks(), st.integers(10, 45), st.integers(10, 60), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_shared_weights_share_the_memory(problem: ParametricProblem, edge: int, cloud: int, seed: int) -> None:
    rules = Constraints(edge_memory_bytes=edge, cloud_memory_bytes=cloud)
    assert _is_best(problem, graph_of(problem, seed), rules, Objective("latency", "s", (Stage(1.0, 0.1, 0.1, 1.0),)))


@pytest.mark.parametrize("steps", range(8))
def test_a_search_that_is_stopped_blames_no_constraints_that_a_cut_keeps_to(steps: int) -> None:
    """One cut keeps to both, which takes the search a few steps to find."""
    problem = _side_by_side([1, 1], [1, 1], [[(0, 6)], [(0, 2), (0, 1)]])
    rules, graph = Constraints(edge_memory_bytes=20, cloud_memory_bytes=13), graph_of(problem, 3)
    anything = Objective("anything", "", (Stage(),))
    assert ConstrainedChoice(problem, graph, rules).best(anything, never).choice is not None
    asked = itertools.count()
    said = str(refusal(Rules(problem, graph, rules, 1), lambda: next(asked) >= steps))
    assert said == "constraints: no cut keeps to them all; relax one of them"


def test_edge_only_wins_by_the_round_trip_alone() -> None:
    problem = _side_by_side([3, 3], [1, 1], [[(0, 0)], [(0, 0)]])
    rules = Constraints(wire_bytes=100)
    found = ConstrainedChoice(problem, graph_of(problem, 0), rules).best(
        Objective("latency", "s", (Stage(1.0, 0.0, 0.0, 1.0, crossing=5.0),)), never
    )
    assert (found.value, found.choice is not None and len(found.choice.edge_ops)) == (6.0, 2)


@given(_knapsacks())
@settings(max_examples=60, deadline=None)
def test_a_bound_is_never_above_the_best(problem: ParametricProblem) -> None:
    objective = Objective("slowest", "s", (Stage(edge_s=1.0), Stage(cloud_s=1.0), Stage(uplink_bytes=0.5)))
    found = ConstrainedChoice(problem, graph_of(problem, 0), Constraints()).best(objective, lambda: True)
    assert found.bound <= min(map(_value(problem, objective), every_choice(problem))) * (1 + 1e-9)


_TRADES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=3, max_size=3)


@given(st.lists(_TRADES, min_size=3, max_size=5), st.integers(10, 50))
@settings(max_examples=60, deadline=None)
def test_codecs_alone_are_a_knapsack_too(ways: list[list[tuple[int, int]]], wire: int) -> None:
    problem = _side_by_side([99] * len(ways), [1] * len(ways), ways)
    rules = Constraints(cloud_ops=frozenset(op.name for op in problem.ops), wire_bytes=wire)
    assert _is_best(problem, graph_of(problem, 0), rules, Objective("edge", "s", (Stage(edge_s=1.0),)))
