"""Sizes that an input's contents decide are refused by the operator; those of shapes and constants are not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from isthmus.errors import InvalidModel
from partitioner.onnx_data_sizes import check_data_sizes
from partitioner.onnx_front_end import model_from_onnx
from tests.partitioner.test_onnx_front_end import numbers, proto, saved, value

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def _file(path: Path, nodes: Sequence[onnx.NodeProto]) -> Path:
    """`size` is the largest number of the input `n`, as [1]; `count` the same as a number alone."""
    deciding = [
        helper.make_node("ReduceMax", ["n"], ["size2"], "largest"),
        helper.make_node("Squeeze", ["size2", "second"], ["size"], "flat"),
        helper.make_node("ReduceMax", ["n"], ["count"], "number", keepdims=0),
    ]
    constants = [
        *(numbers("zero", 0), numbers("first", 0, 0), numbers("second", 1)),
        numbers("two", 2),
        *(numpy_helper.from_array(np.array(v), name) for v, name in ((0, "none"), (1, "one"))),
        numpy_helper.from_array(np.array(0.5, np.float32), "half"),
    ]
    inputs = [value("x", "batch", 4), value("n", "batch", 1, kind=INT64)]
    return saved(path / "a.onnx", proto([*deciding, *nodes], constants, inputs))


@pytest.mark.parametrize(
    ("node", "size"),
    [
        (helper.make_node("Range", ["none", "count", "one"], ["y"], "it"), "count"),
        (helper.make_node("ConstantOfShape", ["size"], ["y"], "it"), "size"),
        (helper.make_node("Slice", ["x", "zero", "size", "second"], ["y"], "it"), "size"),
        (helper.make_node("TopK", ["x", "size"], ["y", "where"], "it"), "size"),
        (helper.make_node("Tile", ["x", "sizes"], ["y"], "it"), "sizes"),
        (helper.make_node("Pad", ["x", "pads"], ["y"], "it"), "pads"),
        (helper.make_node("Expand", ["x", "sizes"], ["y"], "it"), "sizes"),
        (helper.make_node("Reshape", ["x", "sizes"], ["y"], "it"), "sizes"),
        (helper.make_node("ReduceSum", ["x", "size"], ["y"], "it"), "size"),
        (helper.make_node("Slice", ["x", "size", "sizes"], ["y"], "it"), "size"),
    ],
)
def test_a_size_that_the_data_decides_is_refused(tmp_path: Path, node: onnx.NodeProto, size: str) -> None:
    before = [
        helper.make_node("Concat", ["size", "size"], ["sizes"], axis=0),
        helper.make_node("Concat", ["first", "size", "size"], ["pads"], axis=0),
    ]
    with pytest.raises(InvalidModel, match=rf"op 'it' \({node.op_type}\): makes a size .* by '{size}'"):
        model_from_onnx(_file(tmp_path, [*before, node]))


def _loop(rounds: str, *, collects: bool) -> onnx.NodeProto:
    """Doubles x; collects what it was each time."""
    made = [value("on", kind=BOOL), value("next", "batch", 4), *([value("seen", "batch", 4)] if collects else [])]
    nodes = [
        helper.make_node("Add", ["carried", "carried"], ["next"]),
        helper.make_node("Identity", ["going"], ["on"]),
        *([helper.make_node("Identity", ["carried"], ["seen"])] if collects else []),
    ]
    taken = [value("step", kind=INT64), value("going", kind=BOOL), value("carried", "batch", 4)]
    body = helper.make_graph(nodes, "body", taken, made)
    return helper.make_node("Loop", [rounds, "", "x"], ["y", "all"] if collects else ["y"], "it", body=body)


def test_what_a_loop_collects_as_often_as_the_data_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="op 'it'"):
        model_from_onnx(_file(tmp_path, [_loop("count", collects=True)]))


@pytest.mark.parametrize(("rounds", "collects"), [("count", False), ("one", True)])
def test_a_loop_whose_results_have_their_size_is_taken(tmp_path: Path, rounds: str, collects: bool) -> None:
    model = model_from_onnx(_file(tmp_path, [_loop(rounds, collects=collects)]))
    found = model(torch.ones(3, 4), torch.ones(3, 1, dtype=torch.int64))
    assert torch.equal(found[0], torch.full((3, 4), 2.0))


def test_a_size_out_of_shapes_and_constants_is_taken(tmp_path: Path) -> None:
    """As many numbers as x has elements: a size of shapes, in whatever way."""
    nodes = [
        helper.make_node("Size", ["x"], ["elements"], "elements"),
        helper.make_node("Range", ["none", "elements", "one"], ["y"], "it"),
    ]
    model = model_from_onnx(_file(tmp_path, nodes))
    assert model.graph.tensors["y"].shape_at(3) == (12,)


@pytest.mark.parametrize(
    "ends",
    [
        [helper.make_node("Add", ["size", "two"], ["end"])],
        [
            helper.make_node("Add", ["count", "one"], ["next"]),
            helper.make_node("Cast", ["next"], ["cast"], to=TensorProto.INT64),
            helper.make_node("Unsqueeze", ["cast", "zero"], ["end"]),
        ],
    ],
)
def test_a_window_of_a_fixed_length_is_taken_wherever_the_data_puts_it(
    tmp_path: Path, ends: Sequence[onnx.NodeProto]
) -> None:
    begins = "size" if len(ends) == 1 else "start"
    nodes = [
        helper.make_node("Unsqueeze", ["count", "zero"], ["start"]),
        *ends,
        helper.make_node("Slice", ["x", begins, "end", "second"], ["y"], "it"),
    ]
    model = model_from_onnx(_file(tmp_path, nodes))
    assert model.graph.tensors["y"].shape_at(3) == (3, 2 if len(ends) == 1 else 1)
    x = torch.arange(12.0).view(3, 4)
    found = model(x, torch.ones(3, 1, dtype=torch.int64))[0]
    assert torch.equal(found, x[:, 1 : 1 + found.shape[1]])


def test_a_window_whose_ends_are_a_fraction_apart_before_they_are_rounded_is_none(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["size"], ["place"], to=FLOAT),
        helper.make_node("Mul", ["place", "half"], ["middle"]),
        helper.make_node("Add", ["middle", "half"], ["later"]),
        *(helper.make_node("Cast", [a], [b], to=INT64) for a, b in (("middle", "start"), ("later", "end"))),
        helper.make_node("Slice", ["x", "start", "end", "second"], ["y"], "it"),
    ]
    with pytest.raises(InvalidModel, match=r"op 'it' \(Slice\): makes a size .* by 'start'"):
        model_from_onnx(_file(tmp_path, nodes))


@pytest.mark.parametrize(("mode", "is_taken"), [("half_pixel", True), ("tf_crop_and_resize", False)])
@pytest.mark.parametrize("has_sizes", [False, True])
def test_a_part_that_the_data_takes_sizes_a_resize_only_where_it_scales_it(
    tmp_path: Path, mode: str, is_taken: bool, has_sizes: bool
) -> None:
    to = ["", "sizes"] if has_sizes else ["scales", ""]
    nodes = [
        helper.make_node("Cast", ["size"], ["edge"], to=FLOAT),
        helper.make_node("Concat", ["nothing", "edge", "edge"], ["part"], axis=0),
        helper.make_node("Resize", ["picture", "part", *to], ["y"], "it", coordinate_transformation_mode=mode),
    ]
    file = onnx.load(_file(tmp_path, nodes))
    file.graph.initializer.append(numpy_helper.from_array(np.zeros(6, np.float32), "nothing"))
    file.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    file.graph.input.append(value("picture", "batch", 1, 4, 4))
    if has_sizes:
        file.graph.initializer.append(numbers("sizes", 1, 1, 8, 8))
    refused = pytest.raises(InvalidModel, match=r"op 'it'.*by 'part'")
    with nullcontext() if is_taken or has_sizes else refused:
        check_data_sizes(file, {})
