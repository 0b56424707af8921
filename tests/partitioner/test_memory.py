"""What a cut takes of either side's memory."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from partitioner.graph import Dimension, ModelGraph, Op, TensorInfo
from partitioner.memory import MemoryModel
from partitioner.onnx_front_end import model_from_onnx
from partitioner.parametric_problem import ParametricProblem
from tests.partitioner.random_problems import every_choice, problems
from tests.partitioner.test_constrained_choice import graph_of
from tests.partitioner.test_onnx_front_end import proto, saved, weight


def _op(name: str, reads: tuple[str, ...], makes: str, *weights: str) -> Op:
    return Op(name, "relu", 1, reads, (makes,), 0, 1, 0, weights)


def _tensor(name: str, size: int, producer: str | None, *consumers: str) -> TensorInfo:
    return TensorInfo(name, "int8", (Dimension(1, 0), Dimension(0, size)), producer, consumers, not consumers)


@pytest.fixture
def memory() -> MemoryModel:
    """x(1) -> a -> y(10) -> b -> z(100) -> c -> out(1000); c reads y too; a and c share the weight w of 5."""
    ops = (_op("a", ("x",), "y", "w"), _op("b", ("y",), "z", "v"), _op("c", ("y", "z"), "out", "w"))
    tensors = (
        _tensor("x", 1, None, "a"),
        _tensor("y", 10, "a", "b", "c"),
        _tensor("z", 100, "b", "c"),
        _tensor("out", 1000, "c"),
    )
    graph = ModelGraph(ops, {t.name: t for t in tensors}, ("x",), ("out",), frozenset(), {"w": 5, "v": 7})
    return MemoryModel(graph)


def test_a_shared_weight_counts_once(memory: MemoryModel) -> None:
    assert memory.parameters(["a", "b", "c"]) == 12


def test_a_weight_that_two_onnx_nodes_read_counts_once(tmp_path: Path) -> None:
    """y = relu(x @ w) @ w, with a w of 64 bytes."""
    steps = [("MatMul", ["x", "w"], "once"), ("Relu", ["once"], "again"), ("MatMul", ["again", "w"], "y")]
    nodes = [helper.make_node(kind, reads, [makes]) for kind, reads, makes in steps]
    model = model_from_onnx(saved(tmp_path / "a.onnx", proto(nodes, [weight("w", 4, 4)])))
    first, relu, last = (op.name for op in model.graph.ops)
    memory = MemoryModel(model.graph)
    assert memory.parameters([first, relu, last]) == memory.parameters([last]) == 64
    assert memory.parameters([relu]) == 0
    assert model.graph.op(first).weights == model.graph.op(last).weights


def test_the_peak_is_where_most_is_alive(memory: MemoryModel) -> None:
    assert memory.edge(frozenset("abc")) == 12 + 10 + 100 + 1000


def test_what_crosses_stays_alive_on_the_edge(memory: MemoryModel) -> None:
    assert memory.edge(frozenset("ab")) == 12 + 10 + 100
    assert memory.edge(frozenset("a")) == 5 + 1 + 10


def test_inputs_are_alive_with_nothing_on_the_edge(memory: MemoryModel) -> None:
    assert memory.edge(frozenset()) == 1


def test_what_crossed_is_alive_in_the_cloud_from_the_start(memory: MemoryModel) -> None:
    assert memory.cloud(frozenset("ab")) == 5 + 10 + 100 + 1000
    assert memory.cloud(frozenset("abc")) == 0


def test_activations_grow_with_the_batch(memory: MemoryModel) -> None:
    assert MemoryModel(memory.graph, batch=3).edge(frozenset("a")) == 5 + 3 * 11


@given(problems(5, forbidding=False), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_bounds_hold_for_every_larger_set(problem: ParametricProblem, seed: int) -> None:
    memory, names = MemoryModel(graph_of(problem, seed)), frozenset(op.name for op in problem.ops)
    cuts = {choice.edge_ops for choice in every_choice(problem)}
    for small, large in itertools.product(cuts, cuts):
        if small <= large:
            assert memory.edge_at_least(small, names - large) <= memory.edge(large)
            assert memory.cloud_at_least(names - large) <= memory.cloud(small)
