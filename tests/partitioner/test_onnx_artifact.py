"""What an artifact says of an ONNX graph is as untrusted as any file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import helper

from isthmus.errors import InvalidModel
from partitioner.onnx_artifact import onnx_model_from_data
from partitioner.onnx_front_end import model_from_onnx
from tests.partitioner.test_onnx_front_end import proto, saved, weight


@pytest.mark.parametrize(("written", "spoiled"), [('"equation"', '"other"'), ("aWosamstPmlr", "aWosag==")])
def test_an_op_that_lacks_what_its_costs_are_told_from_is_refused(tmp_path: Path, written: str, spoiled: str) -> None:
    """Without an equation; with one of fewer letters than dimensions."""
    product = helper.make_node("Einsum", ["x", "w"], ["y"], equation="ij,jk->ik")
    model = model_from_onnx(saved(tmp_path / "a.onnx", proto([product], [weight("w", 4, 30)])))
    text = json.dumps({"format": 1, **model.structure()})
    assert onnx_model_from_data(json.loads(text), model.weights, model.interface).digest == model.digest
    assert written in text
    with pytest.raises(InvalidModel, match="graph: has an op that lacks what it needs"):
        onnx_model_from_data(json.loads(text.replace(written, spoiled)), model.weights, model.interface)
