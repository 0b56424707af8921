"""A batch that a file fixes to 1 is opened where a batch then gives what the file gives for each of its items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from isthmus.errors import InvalidModel
from partitioner.onnx_fixed_batch import check_as_written
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_inputs import pin_inputs
from tests.partitioner.test_onnx_front_end import numbers, proto, saved, value, weight

Step: TypeAlias = onnx.NodeProto | tuple[onnx.NodeProto, TensorProto]


def _batch_and_items(path: Path, file: onnx.ModelProto, *shape: int) -> tuple[Tensor, Tensor]:
    """What the model makes of a batch of three, and what the file, run as it is, makes of each."""
    written = onnxruntime.InferenceSession(file.SerializeToString())
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    (found,) = model_from_onnx(saved(path / "a.onnx", file))(x)
    items = [torch.from_numpy(written.run(None, {"x": one.numpy()})[0]) for one in torch.split(x, 1)]
    return found, torch.cat(items)


def _reshape(read: str, sizes: Sequence[int], made: str) -> tuple[onnx.NodeProto, TensorProto]:
    return helper.make_node("Reshape", [read, f"{made} sizes"], [made]), numbers(f"{made} sizes", *sizes)


def _file(steps: Sequence[Step], *shape: int) -> onnx.ModelProto:
    nodes = [step[0] if isinstance(step, tuple) else step for step in steps]
    return proto(nodes, [step[1] for step in steps if isinstance(step, tuple)], [value("x", 1, *shape)])


def test_a_batch_that_was_folded_into_rows_comes_apart_again(tmp_path: Path) -> None:
    steps: list[Step] = [
        _reshape("x", [4, 4], "rows"),
        _reshape("rows", [1, -1, 4], "table"),
        helper.make_node("Softmax", ["table"], ["shares"], axis=1),
        _reshape("shares", [1, 16], "y"),
    ]
    torch.testing.assert_close(*_batch_and_items(tmp_path, _file(steps, 16), 16))


@pytest.mark.parametrize(("rows", "back"), [([4, 4, 6], [1, 2, 2, 2, 2, -1]), ([4, 4, -1], [1, 2, 2, 2, 2, 6])])
def test_windows_of_a_picture_are_put_together_item_by_item(
    tmp_path: Path, rows: Sequence[int], back: Sequence[int]
) -> None:
    """As a Swin transformer does it, in either exporter's words; the windows are a multiple of the batch."""
    steps: list[Step] = [
        _reshape("x", [1, 2, 2, 2, 2, 6], "cut"),
        helper.make_node("Transpose", ["cut"], ["turned"], perm=[0, 1, 3, 2, 4, 5]),
        _reshape("turned", [4, 2, 2, 6], "windows"),
        _reshape("windows", rows, "tokens"),
        helper.make_node("Softmax", ["tokens"], ["mixed"], axis=1),
        _reshape("mixed", back, "parts"),
        helper.make_node("Transpose", ["parts"], ["joined"], perm=[0, 1, 3, 2, 4, 5]),
        _reshape("joined", [1, 4, 4, 6], "y"),
    ]
    torch.testing.assert_close(*_batch_and_items(tmp_path, _file(steps, 4, 4, 6), 4, 4, 6))


def test_a_weight_that_is_reshaped_stays_as_it_is(tmp_path: Path) -> None:
    """It is too large to be kept in the graph, where it would be worked out beforehand."""
    steps: list[Step] = [_reshape("gamma", [1, -1, 1], "scale"), helper.make_node("Mul", ["x", "scale"], ["y"])]
    file = _file(steps, 100, 2)
    file.graph.initializer.append(weight("gamma", 100))
    torch.testing.assert_close(*_batch_and_items(tmp_path, file, 100, 2))


def test_a_layer_that_keeps_time_first_is_opened_behind_it(tmp_path: Path) -> None:
    """The size that the file leaves open takes the batch."""
    steps: list[Step] = [
        helper.make_node("Transpose", ["x"], ["timed"], perm=[1, 0, 2]),
        _reshape("timed", [5, -1, 4], "heads"),
        helper.make_node("Softmax", ["heads"], ["mixed"], axis=0),
        helper.make_node("Transpose", ["mixed"], ["turned"], perm=[1, 0, 2]),
        _reshape("turned", [1, 2, 5, 4], "y"),
    ]
    torch.testing.assert_close(*_batch_and_items(tmp_path, _file(steps, 5, 8), 5, 8))


def test_what_is_not_the_file_for_one_item_is_refused(tmp_path: Path) -> None:
    softmax = [helper.make_node("Softmax", ["x"], ["y"], axis=1)]
    model = model_from_onnx(saved(tmp_path / "a.onnx", proto(softmax, inputs=[value("x", 1, 4)])))
    other = proto([helper.make_node("Softmax", ["x"], ["y"], axis=0)], inputs=[value("x", 1, 4)])
    (inputs,) = pin_inputs(other, ())
    with pytest.raises(InvalidModel, match="batch fixed to 1, and 'y' of one item is not what the file gives"):
        check_as_written(model, inputs, other, {})


def test_an_old_file_may_hold_constants_that_nothing_reads(tmp_path: Path) -> None:
    file = _file([helper.make_node("Relu", ["x"], ["y"])], 4)
    file.graph.initializer.append(numbers("loose", 1))
    file.graph.input.append(value("loose", 1, kind=TensorProto.INT64))  # as such versions ask for
    file.ir_version = 3
    torch.testing.assert_close(*_batch_and_items(tmp_path, file, 4))


def test_an_output_without_a_batch_may_be_the_same_for_all(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["mask"], ["shown"])]
    mask = numpy_helper.from_array(np.tril(np.ones((3, 3), np.float32)), "mask")
    model = model_from_onnx(saved(tmp_path / "a.onnx", proto(nodes, [mask], [value("x", 1, 4)], ("y", "shown"))))
    assert [tuple(tensor.shape) for tensor in model(torch.zeros(2, 4))] == [(2, 4), (3, 3)]


def test_the_input_at_fault_is_named_alone(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Softmax", ["z"], ["mixed"], axis=0)]
    file = proto(nodes, inputs=[value("x", 1, 4), value("z", 1, 4)], outputs=("y", "mixed"))
    with pytest.raises(InvalidModel, match=r"input 'z': has its batch fixed to 1, and 'mixed'"):
        model_from_onnx(saved(tmp_path / "a.onnx", file))


def _sum_of(count: int, *shape: int | str) -> onnx.ModelProto:
    names = [f"x{at}" for at in range(count)]
    nodes = [helper.make_node("Sum", names, ["sum"]), helper.make_node("Softmax", ["sum"], ["y"], axis=0)]
    return proto(nodes, inputs=[value(name, *shape) for name in names])


def test_of_many_inputs_at_fault_a_few_are_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"inputs 'x0', 'x1', 'x2' and 47 more: have their batch fixed to 1, and"):
        model_from_onnx(saved(tmp_path / "a.onnx", _sum_of(50, 1, 4)))


def test_a_remedy_names_a_few_of_many_inputs(tmp_path: Path) -> None:
    file = _sum_of(50, "batch", 4)
    file.graph.node[1].CopyFrom(helper.make_node("Slice", ["sum", "zero", "three"], ["y"]))
    file.graph.initializer.extend([numbers("zero", 0), numbers("three", 3)])
    with pytest.raises(InvalidModel) as caught:
        model_from_onnx(saved(tmp_path / "a.onnx", file))
    assert "dimension 0 of 'x0', dimension 0 of 'x1', dimension 0 of 'x2' and 47 more" in caught.value.remedy
