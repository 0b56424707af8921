"""Which dimension of an ONNX file's input is the batch, and what becomes of its other open ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from isthmus.errors import InvalidModel
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_model import OnnxModel
from tests.partitioner.test_onnx_front_end import numbers, proto, saved, value, weight


def _model(path: Path, file: onnx.ModelProto, *shapes: Sequence[int]) -> OnnxModel:
    return model_from_onnx(saved(path / "a.onnx", file), tuple(torch.zeros(*shape) for shape in shapes))


def _shapes(model: OnnxModel, batch: int) -> list[tuple[int, ...]]:
    return [model.graph.tensors[name].shape_at(batch) for name in model.graph.inputs]


def _sentence(*shape: int | str) -> onnx.ModelProto:
    """Words of four numbers, weighed by each other."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "turned"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "x"], ["y"]),
    ]
    return proto(nodes, inputs=[value("x", *shape)])


def _strided_picture(*shape: int | str) -> onnx.ModelProto:
    node = helper.make_node("Conv", ["x", "k"], ["y"], strides=[2, 2])
    return proto([node], [weight("k", 2, 3, 3, 3)], [value("x", *shape)])


def test_a_batch_of_1_beside_an_open_length_is_the_batch(tmp_path: Path) -> None:
    model = _model(tmp_path, _sentence(1, "words", 4), (1, 128, 4))
    assert _shapes(model, 3) == [(3, 128, 4)]
    assert model.graph.ops[1].flops == 2 * 128 * 128 * 4


def test_a_batch_of_1_beside_an_open_height_and_width_is_the_batch(tmp_path: Path) -> None:
    model = _model(tmp_path, _strided_picture(1, 3, "height", "width"), (1, 3, 32, 24))
    assert _shapes(model, 2) == [(2, 3, 32, 24)]


def test_without_an_example_the_open_length_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"input 'x'.*open dimension 1 \(words\)") as caught:
        _model(tmp_path, _sentence(1, "words", 4))
    assert "[1, 'words', 4]" in str(caught.value)
    assert "BATCHxNx4" in caught.value.remedy


def test_a_batch_of_1_that_mixes_is_refused_whatever_else_is_open(tmp_path: Path) -> None:
    mixing = proto([helper.make_node("Softmax", ["x"], ["y"], axis=0)], inputs=[value("x", 1, "words")])
    with pytest.raises(InvalidModel, match="batch fixed to 1, and 'y' of a batch is not"):
        _model(tmp_path, mixing, (1, 8))


def _recurrent(x: Sequence[int | str], state: Sequence[int | str]) -> onnx.ModelProto:
    """One step of a layer; y is its new state."""
    nodes = [
        helper.make_node("Unsqueeze", ["x", "first"], ["step"]),
        helper.make_node("GRU", ["step", "w", "r", "", "", "state"], ["", "y"], hidden_size=8),
    ]
    constants = [weight("w", 1, 24, 4), weight("r", 1, 24, 8), numbers("first", 0)]
    return proto(nodes, constants, [value("x", *x), value("state", *state)])


@pytest.mark.parametrize("name", ["batch", "state_dynamic_axes_2", ""])
def test_the_one_layer_of_a_state_is_no_batch(tmp_path: Path, name: str) -> None:
    model = _model(tmp_path, _recurrent(["batch", 4], [1, name, 8]))
    assert _shapes(model, 3) == [(3, 4), (1, 3, 8)]


def _mean_of_rows(*shape: int | str) -> onnx.ModelProto:
    """x less what the rows of the other input have in common."""
    nodes = [
        helper.make_node("ReduceMean", ["rows", "second"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    return proto(nodes, [numbers("second", 1)], [value("x", "batch", 4), value("rows", *shape)])


def test_another_open_dimension_is_proven_to_be_the_batch(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="'rows': has its batch in dimension 1, by its open sizes, and 'y'"):
        _model(tmp_path, _mean_of_rows(1, "count", 4))


def test_a_length_that_an_input_with_a_batch_has_too_is_none(tmp_path: Path) -> None:
    """Positions of one sentence for all of them become those of each."""
    nodes = [
        helper.make_node("Cast", ["places"], ["p"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "p"], ["y"]),
    ]
    inputs = [value("x", "batch", "words"), value("places", 1, "words", kind=TensorProto.INT64)]
    file = saved(tmp_path / "a.onnx", proto(nodes, inputs=inputs))
    model = model_from_onnx(file, (torch.zeros(1, 9), torch.zeros(1, 9, dtype=torch.int64)))
    assert _shapes(model, 3) == [(3, 9), (3, 9)]


def _picture_alone(stride: int) -> onnx.ModelProto:
    """A picture without a batch, made one of a single item."""
    nodes = [
        helper.make_node("Unsqueeze", ["x", "first"], ["one"]),
        helper.make_node("Conv", ["one", "k"], ["y"], pads=[1, 1, 1, 1], strides=[stride, stride]),
    ]
    constants = [weight("k", 2, 3, 3, 3), numbers("first", 0)]
    return proto(nodes, constants, [value("x", 3, "height", "width")])


def test_an_open_height_alone_is_no_batch(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="'x': has its batch in dimension 1, by its open sizes, and 'y'"):
        _model(tmp_path, _picture_alone(1), (3, 32, 24))


def test_a_size_that_is_no_multiple_of_the_batch_names_what_was_taken_for_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"fixed multiple of the batch.*\(dimension 1 of 'x'\)"):
        _model(tmp_path, _picture_alone(2), (3, 32, 24))


def _sequence(x: Sequence[int | str], *state: Sequence[int | str]) -> onnx.ModelProto:
    """A layer over a sequence that stands first, as `batch_first=False` has it; with its first state, if given."""
    node = helper.make_node("GRU", ["x", "w", "r", *(["", "", "state"] if state else [])], ["y"], hidden_size=8)
    inputs = [value("x", *x), *(value("state", *shape) for shape in state)]
    return proto([node], [weight("w", 1, 24, 4), weight("r", 1, 24, 8)], inputs)


def test_what_is_called_the_batch_is_it_behind_a_1_too(tmp_path: Path) -> None:
    model = _model(tmp_path, _sequence([1, "batch", 4], [1, "batch", 8]))
    assert _shapes(model, 3) == [(1, 3, 4), (1, 3, 8)]


def test_what_has_no_name_is_the_batch_behind_a_1_where_the_first_bears_none(tmp_path: Path) -> None:
    model = _model(tmp_path, _sequence([1, "", 4], [1, "", 8]), (1, 1, 4), (1, 1, 8))
    assert _shapes(model, 3) == [(1, 3, 4), (1, 3, 8)]


def test_the_one_state_of_a_fixed_file_has_its_batch_behind_its_layer(tmp_path: Path) -> None:
    assert _shapes(_model(tmp_path, _recurrent([1, 4], [1, 1, 8])), 3) == [(3, 4), (1, 3, 8)]


def test_an_open_length_that_bears_no_batch_leaves_it_to_the_first_dimension(tmp_path: Path) -> None:
    model = _model(tmp_path, _mean_of_rows(1, "count", 4), (1, 4), (1, 5, 4))
    assert _shapes(model, 3) == [(3, 4), (3, 5, 4)]


def test_time_in_front_of_a_batch_of_1_is_no_batch(tmp_path: Path) -> None:
    model = _model(tmp_path, _sequence(["seq", 1, 4]), (100, 1, 4))
    assert _shapes(model, 3) == [(100, 3, 4)]


def test_an_open_first_dimension_that_bears_a_batch_is_it_whatever_its_example_has(tmp_path: Path) -> None:
    model = _model(tmp_path, _sentence("items", "words", 4), (5, 9, 4))
    assert _shapes(model, 3) == [(3, 9, 4)]


def test_an_open_height_in_front_is_no_batch(tmp_path: Path) -> None:
    file = _picture_alone(1)
    file.graph.node.insert(0, helper.make_node("Transpose", ["x"], ["turned"], perm=[2, 0, 1]))
    file.graph.node[1].input[0] = "turned"
    file.graph.input[0].CopyFrom(value("x", "height", "width", 3))
    with pytest.raises(InvalidModel, match=r"'x': has its batch in dimension 0, by .*; nor is it dimension 1 of 'x'"):
        _model(tmp_path, file, (32, 24, 3))


def test_an_open_length_without_a_1_beside_it_is_proven_to_be_the_batch(tmp_path: Path) -> None:
    file = _mean_of_rows(3, "count", 4)
    file.graph.initializer[0].CopyFrom(numbers("second", 0, 1))
    with pytest.raises(InvalidModel, match="'rows': has its batch in dimension 1, by its open sizes, and 'y'"):
        _model(tmp_path, file)


def test_a_first_dimension_that_is_called_the_batch_is_believed(tmp_path: Path) -> None:
    """One scale for all items mixes them a little; whether that matters is measured on the device."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    model = _model(tmp_path, proto(nodes, inputs=[value("x", "batch_size", "words")]), (1, 9))
    assert _shapes(model, 3) == [(3, 9)]
