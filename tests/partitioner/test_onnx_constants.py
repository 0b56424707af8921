"""What constants alone make is worked out once, where it is small; nothing large is ever made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from partitioner import onnx_constants
from partitioner.onnx_constants import fold_constants


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operators that were run, in order."""
    kinds, session = list[str](), onnx_constants.cpu_session

    def watched(model: onnx.ModelProto, options: Any) -> Any:
        kinds.extend(node.op_type for node in model.graph.node)
        return session(model, options)

    monkeypatch.setattr(onnx_constants, "cpu_session", watched)
    return kinds


def folded(nodes: Sequence[onnx.NodeProto], **constants: Any) -> tuple[list[str], dict[str, Any]]:
    """What is left of the nodes, and the values that are constants then; "y" is the result of all."""
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", [], [onnx.ValueInfoProto(name="y")], held)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    fold_constants(proto, {})
    values = {i.name: numpy_helper.to_array(i).tolist() for i in proto.graph.initializer}
    return [node.op_type for node in proto.graph.node], values


def _reader(name: str) -> onnx.NodeProto:
    """Of a constant and of something that is none."""
    return helper.make_node("Add", ["flows", name], ["y"])


def test_sizes_that_are_computed_first_are_known_in_the_next_round(ran: list[str]) -> None:
    nodes = [
        helper.make_node("NonZero", ["mask"], ["places"]),
        helper.make_node("ReduceSum", ["places"], ["sum"], keepdims=0),
        helper.make_node("Range", ["zero", "sum", "one"], ["numbers"]),
        _reader("numbers"),
    ]
    kept, values = folded(nodes, mask=[True, False, True, True], zero=0, one=1)
    assert (kept, values["numbers"]) == (["Add"], [0, 1, 2, 3, 4])
    assert sorted(ran) == ["NonZero", "Range", "ReduceSum"]


def test_what_would_be_large_is_not_made(ran: list[str]) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        _reader("sum"),
    ]
    assert folded(nodes, size=[1 << 20])[0] == ["ConstantOfShape", "ReduceSum", "Add"]
    assert ran == []
    assert folded(nodes, size=[1 << 10])[0] == ["Add"]


def test_sequences_grow_by_what_goes_into_them(ran: list[str]) -> None:
    """Eight doublings of 100 floats are more than is kept; two are not."""

    def doubled(times: int) -> list[onnx.NodeProto]:
        nodes = []
        for at in range(times):
            nodes.append(helper.make_node("SequenceConstruct", [f"v{at}", f"v{at}"], [f"s{at}"]))
            nodes.append(helper.make_node("ConcatFromSequence", [f"s{at}"], [f"v{at + 1}"], axis=0))
        return [*nodes, _reader(f"v{times}")]

    few = np.ones(100, np.float32)
    assert len(folded(doubled(2), v0=few)[1]["v2"]) == 400
    assert ran.count("SequenceConstruct") == 2
    kept, values = folded(doubled(10), v0=few)
    assert kept.count("ConcatFromSequence") == 3
    assert all(len(value) <= 1 << 14 for value in values.values())


def test_a_branch_stays_whose_result_is_small_and_whose_way_there_is_not(ran: list[str]) -> None:
    size = numpy_helper.from_array(np.array([1 << 20]), "size")
    body = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["size"], ["large"]),
            helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        ],
        "body",
        [],
        [helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, [])],
        [size],
    )
    nodes = [helper.make_node("If", ["yes"], ["end"], then_branch=body, else_branch=body), _reader("end")]
    assert folded(nodes, yes=True)[0] == ["If", "Add"]
    assert ran == []
