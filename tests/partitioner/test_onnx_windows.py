"""A window that the data places has the length that the file gives it: in sizes and FLOPs, and when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from isthmus.errors import InvalidRequest
from nodes.engines.onnxruntime import OnnxRuntimeEngine
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_model import OnnxModel
from tests.partitioner.test_onnx_front_end import numbers, proto, saved, value, weight

_CONSTANTS = [numbers(name, at) for name, at in (("zero", 0), ("one", 1), ("two", 2), ("seven", 7), ("minus", -1))] + [
    numbers("pairs", 0, 4, 2)
]
_ENDS_AT_N = helper.make_node("Sub", ["n", "two"], ["start"])


def _model(path: Path, nodes: Sequence[onnx.NodeProto], outputs: Sequence[str] = ("y",)) -> OnnxModel:
    """x is cut by `n`, the largest number of the input `words`."""
    before = helper.make_node("ReduceMax", ["words", "zero"], ["n"], "largest", keepdims=0)
    constants = [*_CONSTANTS, weight("w", 2, 5)]
    inputs = [value("x", "batch", 8), value("words", "batch", 1, kind=TensorProto.INT64)]
    return model_from_onnx(saved(path / "a.onnx", proto([before, *nodes], constants, inputs, outputs)))


def _words(count: int) -> Tensor:
    return torch.full((3, 1), count)


_X = torch.arange(24.0).view(3, 8)


def _cut(start: str, end: str, *more: str) -> onnx.NodeProto:
    return helper.make_node("Slice", ["x", start, end, "one", *more], ["cut"], "window")


_TURNED = helper.make_node("Identity", ["cut"], ["y"])


def test_sizes_and_flops_behind_a_window_at_the_end_are_those_of_its_length(tmp_path: Path) -> None:
    """The sample that sizes are found with has no words: its last two would be cut out from before the front."""
    product = helper.make_node("MatMul", ["cut", "w"], ["y"], "product")
    model = _model(tmp_path, [_ENDS_AT_N, _cut("start", "n"), product])
    assert model.graph.tensors["cut"].bytes == 2 * 4
    assert model.graph.op("product").flops == 2 * 2 * 5
    torch.testing.assert_close(model(_X, _words(5))[0], _X[:, 3:5] @ _weight(model))


def _weight(model: OnnxModel) -> Tensor:
    found = next(i for i in model.proto.graph.initializer if i.name == "w")
    return torch.from_numpy(onnx.numpy_helper.to_array(found).copy())


def test_a_window_whose_sample_lies_beyond_the_end_has_its_length(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["n", "seven"], ["start"]),
        helper.make_node("Add", ["start", "two"], ["end"]),
        _cut("start", "end"),
        _TURNED,
    ]
    model = _model(tmp_path, nodes)
    assert model.graph.tensors["y"].shape_at(3) == (3, 2)
    assert torch.equal(model(_X, _words(-3))[0], _X[:, 4:6])


def test_a_window_that_goes_backwards_has_its_length(tmp_path: Path) -> None:
    model = _model(tmp_path, [_ENDS_AT_N, _cut("n", "start", "minus"), _TURNED])
    assert model.graph.tensors["y"].shape_at(3) == (3, 2)
    assert torch.equal(model(_X, _words(5))[0], _X[:, [5, 4]])


def test_what_a_window_is_cut_out_of_along_other_dimensions_stays(tmp_path: Path) -> None:
    nodes = [
        _ENDS_AT_N,
        helper.make_node("Concat", ["one", "two"], ["axes"], axis=0),
        helper.make_node("Concat", ["two", "start"], ["starts"], axis=0),
        helper.make_node("Concat", ["seven", "n"], ["ends"], axis=0),
        helper.make_node("Reshape", ["x", "pairs"], ["table"]),
        helper.make_node("Slice", ["table", "starts", "ends", "axes"], ["y"], "window"),
    ]
    model = _model(tmp_path, nodes)
    assert model.graph.tensors["y"].shape_at(3) == (3, 2, 2)
    assert torch.equal(model(_X, _words(2))[0], _X.view(3, 4, 2)[:, 2:7])


def test_a_window_placed_by_what_lies_in_another_has_its_length(tmp_path: Path) -> None:
    nodes = [
        _ENDS_AT_N,
        _cut("start", "n"),
        helper.make_node("MatMul", ["cut", "w"], ["product"]),
        helper.make_node("ReduceMax", ["product"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", ["whole", "zero"], ["from"]),
        helper.make_node("Add", ["from", "two"], ["to"]),
        helper.make_node("Slice", ["x", "from", "to", "one"], ["y"], "second"),
    ]
    assert _model(tmp_path, nodes).graph.tensors["y"].shape_at(3) == (3, 2)


@pytest.mark.parametrize("words", [1, 9])
def test_a_window_outside_of_what_it_is_cut_out_of_is_refused_when_it_runs(tmp_path: Path, words: int) -> None:
    model = _model(tmp_path, [_ENDS_AT_N, _cut("start", "n"), _TURNED])
    with pytest.raises(InvalidRequest, match=r"op 'window' \(Slice\): places its window outside .*'cut' short.*inside"):
        model(_X, _words(words))


@pytest.mark.parametrize("edge_ops", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("words", [7, 8])
def test_what_is_made_of_a_short_window_is_refused_in_every_cut(tmp_path: Path, edge_ops: int, words: int) -> None:
    """Though it has a size of its own: else the plan chosen would decide whether a request is answered."""
    summed = helper.make_node("ReduceMean", ["cut", "one"], ["y"], "sum", keepdims=1)
    model = _model(tmp_path, [_ENDS_AT_N, _cut("start", "n"), summed])
    segments, engine = model.split([op.name for op in model.graph.ops][:edge_ops]), OnnxRuntimeEngine()
    prefix, suffix = engine.load(segments.prefix), engine.load(segments.suffix)
    suffix(*prefix(_X, _words(words)))
    for run in (prefix, segments.prefix):
        with pytest.raises(InvalidRequest, match="op 'window'"):
            suffix(*run(_X, _words(9)))


@pytest.mark.parametrize("edge_ops", [0, 2, 3])
def test_each_cut_on_a_fast_engine_refuses_it_too(tmp_path: Path, edge_ops: int) -> None:
    """Also where start and end come from the other side."""
    model = _model(tmp_path, [_ENDS_AT_N, _cut("start", "n"), _TURNED])
    segments, engine = model.split([op.name for op in model.graph.ops][:edge_ops]), OnnxRuntimeEngine()
    prefix, suffix = engine.load(segments.prefix), engine.load(segments.suffix)
    assert torch.equal(suffix(*prefix(_X, _words(8)))[0], _X[:, 6:])
    with pytest.raises(InvalidRequest, match="op 'window'"):
        suffix(*prefix(_X, _words(9)))
