"""ModelGraph: a DAG with numbers, and the tensors that cross it."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest

from isthmus.errors import InvalidModel, NotFound
from partitioner.graph import Dimension, ModelGraph, Op, TensorInfo

PER_ITEM = (Dimension(1, 0), Dimension(0, 10))


def op(name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Op:
    return Op(name, "relu", 1, inputs, outputs, 0, 1, 0)


def tensor(name: str, producer: str | None, consumers: tuple[str, ...], shape: Any = PER_ITEM) -> TensorInfo:
    return TensorInfo(name, "float32", shape, producer, consumers, is_output=not consumers)


@pytest.fixture
def chain() -> ModelGraph:
    """x -> a -> fixed (no batch in it) -> b -> y, where b reads the batch size."""
    tensors = (
        tensor("x", None, ("a",)),
        tensor("fixed", "a", ("b",), (Dimension(0, 3),)),
        tensor("y", "b", ()),
    )
    ops = (op("a", ("x",), ("fixed",)), op("b", ("fixed",), ("y",)))
    return ModelGraph(ops, {t.name: t for t in tensors}, ("x",), ("y",), frozenset({"b"}))


def test_a_tensor_that_tells_the_batch_joins_when_none_else_does(chain: ModelGraph) -> None:
    assert chain.boundary(["a"]) == ("x", "fixed")


def test_the_batch_is_not_sent_when_nobody_in_the_cloud_reads_it(chain: ModelGraph) -> None:
    silent = ModelGraph(chain.ops, chain.tensors, chain.inputs, chain.outputs)
    assert silent.boundary(["a"]) == ("fixed",)
    assert chain.boundary(["a", "b"]) == ()


def test_dimensions_and_bytes_are_affine_in_the_batch() -> None:
    info = tensor("t", None, (), (Dimension(12, 1), Dimension(0, 4)))
    assert info.shape_at(3) == (37, 4)
    assert (info.bytes, info.bytes_at(3)) == (13 * 4 * 4, 37 * 4 * 4)


def test_ops_stand_in_topological_order(case: Any) -> None:
    graph = case.model.graph
    made = set(graph.inputs)
    for each in graph.ops:
        assert made.issuperset(each.inputs)
        made.update(each.outputs)


def test_networkx_has_an_edge_for_every_dependency(case: Any) -> None:
    graph = case.model.graph
    dag = graph.networkx()
    assert nx.is_directed_acyclic_graph(dag)
    assert list(dag) == [each.name for each in graph.ops]
    for producer, consumer, names in dag.edges.data("tensors"):
        assert set(names) <= set(graph.op(producer).outputs) & set(graph.op(consumer).inputs)


def test_producers_and_consumers_agree_with_ops(case: Any) -> None:
    graph = case.model.graph
    for name, info in graph.tensors.items():
        assert info.producer is None or name in graph.op(info.producer).outputs
        assert info.consumers == tuple(each.name for each in graph.ops if name in each.inputs)


def test_an_unknown_op_is_not_found(chain: ModelGraph) -> None:
    assert chain.op("a").name == "a"
    with pytest.raises(NotFound, match="'c'"):
        chain.op("c")


def test_two_ops_of_one_name_are_refused(chain: ModelGraph) -> None:
    with pytest.raises(InvalidModel):
        ModelGraph((chain.ops[0], chain.ops[0]), chain.tensors, ("x",), ("y",))
