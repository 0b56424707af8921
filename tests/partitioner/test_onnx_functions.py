"""Functions of an ONNX file are counted before they are put in place of their calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, inliner

from isthmus.errors import InvalidModel
from partitioner.onnx_file import read_onnx
from partitioner.onnx_functions import check_functions

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
KILOBYTE = helper.make_tensor("value", TensorProto.UINT8, [1000], bytes(1000), raw=True)


def call(name: str, source: str, made: str, **given: object) -> onnx.NodeProto:
    return helper.make_node(name, [source], [made], domain="local", **given)  # type: ignore[arg-type]


def function(name: str, nodes: Sequence[onnx.NodeProto], attributes: Sequence[str] = ()) -> onnx.FunctionProto:
    """From a to b."""
    return helper.make_function("local", name, ["a"], ["b"], nodes, OPSETS, attributes)


def twice(name: str, called: str) -> onnx.FunctionProto:
    return function(name, [call(called, "a", "c"), call(called, "c", "b")])


def relu(name: str) -> onnx.FunctionProto:
    return function(name, [helper.make_node("Relu", ["a"], ["b"])])


def model(*functions: onnx.FunctionProto, first: onnx.NodeProto | None = None) -> onnx.ModelProto:
    """Calls the first of them."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy")
    graph = helper.make_graph([first or call(functions[0].name, "x", "y")], "g", [x], [y])
    made = helper.make_model(graph, opset_imports=OPSETS, ir_version=10)
    made.functions.extend(functions)
    return made


def doubling(levels: int, last: onnx.FunctionProto) -> onnx.ModelProto:
    return model(*(twice(f"f{i}", f"f{i + 1}") for i in range(levels)), last)


def in_a_branch(called: str) -> onnx.NodeProto:
    out = helper.make_tensor_value_info("c", TensorProto.FLOAT, None)
    branch = helper.make_graph([call(called, "a", "c")], "branch", [], [out])
    return helper.make_node("If", ["a"], ["b"], then_branch=branch, else_branch=branch)


def heavy(levels: int) -> onnx.ModelProto:
    """A kilobyte in a function that is called 2 ** levels times."""
    constant = helper.make_node("Constant", [], ["c"], value=KILOBYTE)
    return doubling(levels, function(f"f{levels}", [constant, helper.make_node("Relu", ["a"], ["b"])]))


def handed_down(levels: int) -> onnx.ModelProto:
    """A kilobyte that the graph hands to a function, which fills it in 2 ** levels times."""
    reference = onnx.AttributeProto(name="value", ref_attr_name="value", type=onnx.AttributeProto.TENSOR)
    functions = []
    for level in range(levels + 1):
        last = level == levels
        nodes = [helper.make_node("Relu", ["a"], ["b"])]
        for made in "c" if last else "cd":
            nodes.append(helper.make_node("Constant", [], [made]) if last else call(f"f{level + 1}", "a", made))
            nodes[-1].attribute.append(reference)
        functions.append(function(f"f{level}", nodes, ["value"]))
    return model(*functions, first=call("f0", "x", "y", value=KILOBYTE))


HOSTILE = {
    "each calls the next twice": (doubling(35, relu("f35")), "over 100000 nodes"),
    "down to one that does nothing": (doubling(35, function("f35", [])), "over 100000 nodes"),
    "in branches": (
        model(*(function(f"f{i}", [in_a_branch(f"f{i + 1}")]) for i in range(35)), relu("f35")),
        "over 100000 nodes",
    ),
    "calls itself": (model(function("f", [call("f", "a", "b")])), "function 'f': calls itself"),
    "call each other": (
        model(function("f", [call("g", "a", "b")]), function("g", [in_a_branch("f")])),
        "function 'f': calls itself",
    ),
    "a long chain": (
        model(*(function(f"f{i}", [call(f"f{i + 1}", "a", "b")]) for i in range(5000)), relu("f5000")),
        "over 100 calls deep",
    ),
}


@pytest.mark.parametrize(("made", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_functions_that_grow_beyond_the_limits_are_refused(
    made: onnx.ModelProto, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(inliner, "inline_local_functions")  # which would take all memory, or the stack
    (tmp_path / "a.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(InvalidModel, match=reason):
        read_onnx(tmp_path / "a.onnx")


def test_a_standard_operator_of_a_functions_name_is_its_call() -> None:
    """By both names that the standard's domain has."""
    made = doubling(35, relu("f35"))
    for one in made.functions:
        one.domain = "ai.onnx"
        for node in one.node:
            node.domain = ""
    made.graph.node[0].domain = ""
    with pytest.raises(InvalidModel, match="nodes"):
        check_functions(made, most_nodes=1000, most_bytes=1 << 20)


@pytest.mark.parametrize("made", [heavy(10), handed_down(10)], ids=["in a function", "in its call"])
def test_large_constants_count_as_often_as_they_stand(made: onnx.ModelProto) -> None:
    check_functions(made, most_nodes=5000, most_bytes=4 << 20)
    with pytest.raises(InvalidModel, match="over 1000000 bytes"):
        check_functions(made, most_nodes=5000, most_bytes=1_000_000)


@pytest.mark.parametrize("made", [doubling(6, relu("f6")), heavy(6), handed_down(6)])
def test_the_nodes_counted_are_those_that_are_put_in_place(made: onnx.ModelProto) -> None:
    nodes = len(inliner.inline_local_functions(made).graph.node)
    check_functions(made, most_nodes=nodes, most_bytes=1 << 20)
    with pytest.raises(InvalidModel, match="nodes"):
        check_functions(made, most_nodes=nodes - 1, most_bytes=1 << 20)


def test_functions_within_the_limits_are_put_in_place(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(doubling(3, relu("f3")).SerializeToString())
    graph = read_onnx(tmp_path / "a.onnx")[0].graph
    assert [node.op_type for node in graph.node] == ["Relu"] * 8
