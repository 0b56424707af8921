"""How boxes of a picture are named: in the same words, whatever a model came as."""

from __future__ import annotations

from pathlib import Path

import pytest

from partitioner.front_end import model_from_module
from partitioner.graph import ModelGraph
from partitioner.onnx_front_end import model_from_onnx
from partitioner.picture_stages import plain_kind, stages_of
from tests.partitioner.test_onnx_exports import export, network


def _labels(graph: ModelGraph) -> set[str]:
    """Of six stages, without how many dimensions an operator of torch works on."""
    return {word.replace("2d", "") for stage in stages_of(graph, frozenset(), 6) for word in stage.label}


def test_the_stages_of_an_onnx_file_are_named_as_those_of_the_module_it_came_of(tmp_path: Path) -> None:
    module, examples = network("classifier")
    file = model_from_onnx(export(tmp_path / "a.onnx", module, examples, dynamo=False))
    of_module = _labels(model_from_module(module, examples).graph)
    assert {"conv", "3 conv", "max_pool", "adaptive_avg_pool", "linear"} == _labels(file.graph) & of_module


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        ("Conv", "conv"),
        ("MatMul", "matmul"),
        ("MatMulInteger", "matmul_integer"),
        ("QLinearMatMul", "qlinear_matmul"),
        ("Gemm", "linear"),
        ("MaxPool", "max_pool"),
        ("GlobalAveragePool", "adaptive_avg_pool"),
        ("BatchNormalization", "batch_norm"),
        ("LSTM", "lstm"),
        ("DequantizeLinear", "dequantize"),
        ("GatherND", "gather_nd"),
        ("ReduceL2", "reduce_l2"),
        ("aten.convolution.default", "conv"),
        ("_native_batch_norm_legit_no_training", "batch_norm"),
    ],
)
def test_an_operator_of_either_kind_has_a_plain_name(kind: str, plain: str) -> None:
    assert plain_kind(kind) == plain
