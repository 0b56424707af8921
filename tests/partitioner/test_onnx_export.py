"""A torch model at the ONNX level: every tensor of its graph keeps its name, shape, dtype and values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from isthmus.errors import InvalidModel
from partitioner.front_end import model_from_module
from partitioner.onnx_session import OnnxSession
from partitioner.onnx_slicing import slice_form

BATCHES = (1, 3)


def session(case: Any, segment: Any) -> OnnxSession:
    return OnnxSession(case.model.onnx_form, segment.inputs, segment.outputs)


def check_close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """The same shapes and dtypes; floats within 1e-5 (relative and absolute), all else equal."""
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_every_tensor_that_could_cross_has_the_values_that_eager_makes(case: Any) -> None:
    graph = case.model.graph
    names = tuple(name for op in graph.ops for name in op.outputs)
    every = OnnxSession(case.model.onnx_form, graph.inputs, names)
    for batch in BATCHES:
        inputs, known = case.inputs(batch), dict[str, Tensor]()
        for count in range(len(graph.ops) + 1):
            prefix = case.model.split(op.name for op in graph.ops[:count]).prefix
            known.update(zip(prefix.outputs, prefix(*inputs), strict=True))
        for name, found in zip(names, every(*inputs), strict=True):
            if name in known:  # all but what only its own op's neighbours read
                check_close((found,), (known[name],))


def test_every_topological_prefix_runs_with_eager_on_either_side(case: Any) -> None:
    ops = [op.name for op in case.model.graph.ops]
    for count in range(len(ops) + 1):
        segments = case.model.split(ops[:count])
        prefix, suffix = session(case, segments.prefix), session(case, segments.suffix)
        for batch in BATCHES:
            inputs = case.inputs(batch)
            expected, crossing = case.model(*inputs), segments.prefix(*inputs)
            check_close(prefix(*inputs), crossing)
            check_close(suffix(*crossing), expected)
            check_close(segments.suffix(*prefix(*inputs)), expected)


def test_a_slice_holds_no_large_weight(case_named: Any) -> None:
    model = case_named("residual").model
    piece = slice_form(model.onnx_form, model.graph.inputs, model.graph.outputs)
    assert "p_second_weight" in piece.weights
    assert all(i.raw_data == b"" for i in piece.model.graph.initializer if i.name in piece.weights)


def test_large_weights_are_the_models_own(case_named: Any) -> None:
    model = case_named("residual").model
    for name, tensor in model.onnx_form.weights.items():
        assert tensor.data_ptr() == model.weights[name].data_ptr()


def test_a_slice_that_hands_everything_on_has_nothing_to_run(case_named: Any) -> None:
    model = case_named("residual").model
    x = torch.ones(2, 3, 8, 8)
    assert OnnxSession(model.onnx_form, ("x",), ("x",))(x) == (x,)


def test_every_node_belongs_to_an_op_or_makes_sizes_and_constants(case: Any) -> None:
    form = case.model.onnx_form
    owners = form.owners()
    assert set(owners.values()) == {op.name for op in case.model.graph.ops}
    heavy = {"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "Softmax"}
    assert all(node.name in owners for node in form.model.graph.node if node.op_type in heavy)


class Special(nn.Module):
    """An operator that ONNX has no form of."""

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = torch.special.i0e(x) + 1
        return made


def test_an_op_without_an_onnx_form_is_named() -> None:
    model = model_from_module(Special().eval(), (torch.randn(1, 4),))
    with pytest.raises(InvalidModel, match=r"bessel_i0e.*engine: eager"):
        _ = model.onnx_form


def test_a_dtype_that_onnxruntime_cannot_be_given_is_named() -> None:
    model = model_from_module(nn.Linear(4, 4).bfloat16().eval(), (torch.randn(1, 4).bfloat16(),))
    with pytest.raises(InvalidModel, match=r"bfloat16.*engine: eager"):
        OnnxSession(model.onnx_form, model.graph.inputs, model.graph.outputs)
