"""What the bodies of If, Loop and Scan compute and weigh counts as their op's; where data decides it, that is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partitioner.graph import Op
from partitioner.memory import MemoryModel
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_model import OnnxModel
from tests.partitioner.test_onnx_front_end import numbers, proto, saved, value, weight

INT64, BOOL = TensorProto.INT64, TensorProto.BOOL
_PRODUCT = 2 * 4 * 4
_SCALARS: Sequence[tuple[str, object]] = (("three", 3), ("zero", np.float32(0)), ("yes", True))


def _model(path: Path, *nodes: onnx.NodeProto) -> OnnxModel:
    """count: the largest of the input n, as a number; positive: whether x sums up to more than nothing."""
    before = [
        helper.make_node("ReduceMax", ["n"], ["count"], "number", keepdims=0),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
    ]
    scalars = [numpy_helper.from_array(np.array(number), name) for name, number in _SCALARS]
    inputs = [value("x", "batch", 4), value("n", "batch", 1, kind=INT64), value("steps", "batch", 7, 4)]
    keeps = helper.make_node("ReduceSum", ["steps"], ["total"], "total")
    file = proto([*before, keeps, *nodes], [weight("w", 4, 4), *scalars], inputs, ("y", "total"))
    return model_from_onnx(saved(path / "a.onnx", file))


def _op(path: Path, *nodes: onnx.NodeProto) -> Op:
    return _model(path, *nodes).graph.op("it")


def _branch(*nodes: onnx.NodeProto, constants: Sequence[TensorProto] = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "branch", [], [onnx.ValueInfoProto(name="out")], list(constants))


_PLAIN = _branch(helper.make_node("Relu", ["x"], ["out"]))
_TWICE = _branch(helper.make_node("MatMul", ["x", "w"], ["once"]), helper.make_node("MatMul", ["once", "w"], ["out"]))


def _if(then: onnx.GraphProto, otherwise: onnx.GraphProto, name: str = "it") -> onnx.NodeProto:
    return helper.make_node("If", ["positive"], ["y"], name, then_branch=then, else_branch=otherwise)


@pytest.mark.parametrize("branches", [(_PLAIN, _TWICE), (_TWICE, _PLAIN)])
def test_an_if_counts_its_larger_branch(tmp_path: Path, branches: tuple[onnx.GraphProto, onnx.GraphProto]) -> None:
    op = _op(tmp_path, _if(*branches))
    assert (op.flops, op.flops_at(3), op.flops_are_least) == (2 * _PRODUCT, 3 * 2 * _PRODUCT, False)


def _loop(rounds: str, *nodes: onnx.NodeProto, going: str = "", goes_on: str = "going") -> onnx.NodeProto:
    """Its nodes make `next` of `carried`."""
    body = helper.make_graph(
        [helper.make_node("Identity", [goes_on], ["on"]), *nodes],
        "body",
        [value("step", kind=INT64), value("going", kind=BOOL), onnx.ValueInfoProto(name="carried")],
        [value("on", kind=BOOL), onnx.ValueInfoProto(name="next")],
    )
    return helper.make_node("Loop", [rounds, going, "x"], ["y"], "it", body=body)


_STEP = helper.make_node("MatMul", ["carried", "w"], ["next"])


@pytest.mark.parametrize(("going", "goes_on"), [("", "going"), ("yes", "yes")])
def test_a_loop_of_constant_length_counts_its_body_each_time(tmp_path: Path, going: str, goes_on: str) -> None:
    op = _op(tmp_path, _loop("three", _STEP, going=going, goes_on=goes_on))
    assert (op.flops, op.flops_are_least) == (3 * _PRODUCT, False)


@pytest.mark.parametrize(
    ("rounds", "going", "goes_on"),
    [("count", "", "going"), ("three", "", "positive"), ("three", "positive", "going"), ("", "yes", "positive")],
)
def test_a_loop_that_data_ends_counts_its_body_once_and_says_that_this_is_the_least(
    tmp_path: Path, rounds: str, going: str, goes_on: str
) -> None:
    loop = _loop(rounds, _STEP, going=going, goes_on=goes_on)
    if not rounds:  # it would not end
        loop.attribute[0].g.node[0].CopyFrom(helper.make_node("Greater", ["zero", "one"], ["on"]))
        loop.attribute[0].g.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "one"))
    op = _op(tmp_path, loop)
    assert (op.flops, op.flops_are_least) == (_PRODUCT + (not rounds), True)  # a comparison is one


def test_what_a_loop_hands_on_that_grows_makes_the_count_the_least(tmp_path: Path) -> None:
    grown = [
        helper.make_node("Concat", ["carried", "x"], ["next"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["unused"]),
    ]
    op = _op(tmp_path, _loop("three", *grown))
    assert (op.flops, op.flops_are_least) == (3 * _PRODUCT, True)


def test_a_scan_counts_its_body_for_each_place_that_it_goes_through(tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["place", "w"], ["turned"]),
            helper.make_node("MatMul", ["carried", "w"], ["next"]),
        ],
        "body",
        [onnx.ValueInfoProto(name="carried"), onnx.ValueInfoProto(name="place")],
        [onnx.ValueInfoProto(name="next"), onnx.ValueInfoProto(name="turned")],
    )
    node = helper.make_node(
        "Scan", ["x", "steps"], ["last", "y"], "it", body=body, num_scan_inputs=1, scan_input_axes=[1]
    )
    op = _op(tmp_path, node)
    assert (op.flops, op.flops_at(2), op.flops_are_least) == (7 * 2 * _PRODUCT, 2 * 7 * 2 * _PRODUCT, False)


def test_a_branch_in_a_loop_counts_as_often_as_the_loop_goes_round(tmp_path: Path) -> None:
    inner = helper.make_node("If", ["positive"], ["next"], "inner", then_branch=_PLAIN, else_branch=_TWICE)
    assert _op(tmp_path, _loop("three", inner)).flops == 3 * 2 * _PRODUCT


def test_what_has_no_inferred_size_makes_the_count_the_least(tmp_path: Path) -> None:
    """As many rows as are not zero, summed up."""
    branch = _branch(
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Cast", ["places"], ["p"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["p"], ["sum of p"], keepdims=0),
        helper.make_node("MatMul", ["x", "w"], ["turned"]),
        helper.make_node("Add", ["turned", "sum of p"], ["out"]),
    )
    op = _op(tmp_path, _if(branch, _PLAIN))
    assert op.flops_are_least
    assert op.flops >= _PRODUCT


def test_constants_inside_of_a_body_weigh(tmp_path: Path) -> None:
    own = [weight("own", 4, 300), weight("back", 300, 4)]
    constant = helper.make_node("Constant", [], ["c"], value=numbers("v", 1, 2))
    nodes = [helper.make_node("MatMul", ["x", "own"], ["wide"]), helper.make_node("MatMul", ["wide", "back"], ["out"])]
    model = _model(tmp_path, _if(_branch(constant, *nodes, constants=own), _PLAIN))
    op = model.graph.op("it")
    assert op.flops == 2 * 2 * 4 * 300
    assert op.parameter_bytes == 2 * 4 * 300 * 4 + 2 * 8
    assert MemoryModel(model.graph).parameters(["it"]) == op.parameter_bytes
