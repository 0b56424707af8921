"""What batches are measured on: items that differ, of any dtype that a model may take."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx import TensorProto, helper

from nodes.measure.batch_times import varied_tensors
from partitioner.onnx_form import ELEMENT_TYPES
from partitioner.onnx_front_end import model_from_onnx
from tests.partitioner.test_onnx_front_end import proto, saved, value

_INTEGERS = sorted(name for name in ELEMENT_TYPES if "float" not in name)


@pytest.mark.parametrize("dtype", _INTEGERS)
def test_integers_are_ones_that_end_earlier_in_each_item(tmp_path: Path, dtype: str) -> None:
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    file = proto([node], inputs=[value("x", "batch", 4, kind=ELEMENT_TYPES[dtype])])
    (made,) = varied_tensors(model_from_onnx(saved(tmp_path / "a.onnx", file)), 3)
    assert made.dtype == getattr(torch, dtype)
    assert made.int().tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]]
