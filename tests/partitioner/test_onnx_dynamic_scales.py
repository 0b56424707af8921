"""Files that onnxruntime quantised dynamically bear a batch, whose scale is one for all of its items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
import torch
from onnx import helper
from onnxruntime.quantization import quantize_dynamic

from isthmus.errors import InvalidModel
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_model import OnnxModel
from tests.partitioner.test_onnx_front_end import numbers, proto, saved, value, weight

_LAYERS = 12


def _quantised(path: Path, file: onnx.ModelProto, *shape: int) -> OnnxModel:
    """The model of what onnxruntime makes of a file, with an example of that shape."""
    quantize_dynamic(saved(path / "a.onnx", file), path / "quantised.onnx")
    return model_from_onnx(path / "quantised.onnx", (torch.zeros(shape),))


def _layers(*shape: int | str, last: Sequence[onnx.NodeProto] = ()) -> onnx.ModelProto:
    """Layers with skips, so that differences add up, of places that do not see each other. last: makes y of h12."""
    nodes, weights = [], []
    for at in range(_LAYERS):
        nodes += [
            helper.make_node("MatMul", [f"h{at}", f"w{at}"], [f"mixed{at}"]),
            helper.make_node("Tanh", [f"mixed{at}"], [f"bent{at}"]),
            helper.make_node("Add", [f"bent{at}", f"h{at}"], [f"h{at + 1}"]),
        ]
        weights.append(weight(f"w{at}", 16, 16))
    ends = [*last] or [helper.make_node("Identity", [f"h{_LAYERS}"], ["y"])]
    start = helper.make_node("Identity", ["x"], ["h0"])
    return proto([start, *nodes, *ends], [*weights, numbers("first two", 0, 1)], [value("x", *shape)])


def _picture(*shape: int | str) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "k2"], ["y"], strides=[2, 2]),
    ]
    return proto(nodes, [weight("k1", 8, 3, 3, 3), weight("k2", 4, 8, 3, 3)], [value("x", *shape)])


def _batch_at(model: OnnxModel) -> list[int]:
    (shape,) = (model.graph.tensors[name].shape for name in model.graph.inputs)
    return [at for at, dimension in enumerate(shape) if dimension.per_item]


@pytest.mark.parametrize("name", ["x_dynamic_axes_1", "s0", "unk__6"])
@pytest.mark.parametrize("beside", ["x_dynamic_axes_2", 1])
def test_a_batch_by_an_exporters_name_is_one_in_a_deep_quantised_model(
    tmp_path: Path, name: str, beside: int | str
) -> None:
    model = _quantised(tmp_path, _layers(name, beside, 16), 1, 5 if beside != 1 else 1, 16)
    assert _batch_at(model) == [0]
    assert sum(op.kind == "MatMulInteger" for op in model.graph.ops) == _LAYERS


def test_a_batch_by_an_exporters_name_is_one_in_quantised_convolutions(tmp_path: Path) -> None:
    model = _quantised(tmp_path, _picture("unk__6", 3, "unk__7", "unk__8"), 1, 3, 16, 12)
    assert _batch_at(model) == [0]
    assert "ConvInteger" in {op.kind for op in model.graph.ops}


def test_a_batch_that_a_quantised_file_fixes_to_1_is_one_item_a_request(tmp_path: Path) -> None:
    """In a larger one its items would be rounded by one another's values, which the file never does."""
    model = _quantised(tmp_path, _layers(1, 16), 1, 16)
    assert (_batch_at(model), model.interface.max_batch) == ([0], 1)
    assert _quantised(tmp_path, _layers("batch", 16), 1, 16).interface.max_batch > 1


def _mixing(axes: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("ReduceMean", [f"h{_LAYERS}", axes], ["mean"]),
        helper.make_node("Sub", [f"h{_LAYERS}", "mean"], ["y"]),
    ]


def test_a_quantised_model_that_mixes_whatever_is_taken_for_its_items_is_refused(tmp_path: Path) -> None:
    file = _layers("s0", "s1", 16, last=_mixing("first two"))
    with pytest.raises(InvalidModel, match="'y' of a batch is not what its items give one by one; nor is it dimension"):
        _quantised(tmp_path, file, 1, 5, 16)


def test_a_length_in_front_of_a_quantised_sequence_is_no_batch(tmp_path: Path) -> None:
    last = [helper.make_node("GRU", [f"h{_LAYERS}", "gw", "gr"], ["y"], hidden_size=8)]
    file = _layers("s0", 1, 16, last=last)
    file.graph.initializer.extend([weight("gw", 1, 24, 16), weight("gr", 1, 24, 8)])
    assert _batch_at(_quantised(tmp_path, file, 20, 1, 16)) == [1]


def test_a_mixing_of_a_hundredth_is_told_from_a_step(tmp_path: Path) -> None:
    """A hundredth of the other items: more than one step of 255, less than layers of rounding."""
    last = [
        helper.make_node("ReduceSum", [f"h{_LAYERS}", "first two"], ["sum"]),
        helper.make_node("Mul", ["sum", "hundredth"], ["little"]),
        helper.make_node("Add", [f"h{_LAYERS}", "little"], ["y"]),
    ]
    file = _layers("s0", 1, 16, last=last)
    file.graph.initializer.append(helper.make_tensor("hundredth", onnx.TensorProto.FLOAT, [], [0.01]))
    with pytest.raises(InvalidModel, match="is not what its items give one by one"):
        _quantised(tmp_path, file, 1, 1, 16)


def test_a_scale_that_is_an_answer_is_held_to_what_items_give(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    file = saved(tmp_path / "a.onnx", proto(nodes, [], [value("x", "s0", 1, 4)], ("y", "scale")))
    with pytest.raises(InvalidModel, match="of a batch is not what its items give one by one"):
        model_from_onnx(file, (torch.zeros(1, 1, 4),))
