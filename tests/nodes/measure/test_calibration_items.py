"""Calibration inputs through a model, as many at a time as it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx import helper
from onnxruntime.quantization import quantize_dynamic
from torch import Tensor, nn

from isthmus.errors import InvalidModel
from nodes.codecs.base import EncodedTensor
from nodes.codecs.factory import codec
from nodes.codecs.linear import LinearCodec
from nodes.measure.calibration_items import CalibrationRuns
from nodes.measure.codec_sizes import lossy_codecs
from nodes.measure.codec_survey import survey_of_cut
from partitioner.front_end import model_from_module
from partitioner.model import Calibration
from partitioner.onnx_front_end import model_from_onnx
from partitioner.torch_model import TorchModel
from tests.partitioner.test_onnx_front_end import proto, saved, value, weight


def test_a_model_of_one_item_a_request_gets_one_at_a_time(tmp_path: Path) -> None:
    """Quantised by the values of all: together its items would come out otherwise."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("MatMul", ["t", "v"], ["y"]),
    ]
    file = proto(nodes, [weight("w", 16, 16), weight("v", 16, 8)], [value("x", 1, 16)])
    quantize_dynamic(saved(tmp_path / "a.onnx", file), tmp_path / "quantised.onnx")
    items = torch.randn(6, 16, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 7.0)[:, None]
    model = model_from_onnx(tmp_path / "quantised.onnx").calibrated(Calibration((items,)))
    assert model.interface.max_batch == 1
    alone = torch.cat([model(items[at : at + 1])[0] for at in range(6)])
    runs = CalibrationRuns(model)
    assert torch.equal(runs.outputs, alone)
    names, kinds = ([getattr(op, what) for op in model.graph.ops] for what in ("name", "kind"))
    for count in (2, kinds.index("Tanh") + 1):  # a scale crosses, which has no rows; what has rows
        half = runs.at(names[:count])
        assert bool(half.apart) == (count == 2)
        assert torch.equal(half.answers({}), alone)
    assert not torch.equal(model(items)[0], alone)


class Turned(nn.Module):
    """The batch is the second dimension for a while, then three rows are an item's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(16, 24), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        turned = (self.first(x).transpose(0, 1) * 2.0).relu()
        rows = turned.transpose(0, 1).reshape(x.shape[0] * 3, 2, 24).tanh()
        made: Tensor = self.last(rows.reshape(x.shape[0], 6, 24).mean(1))
        return made


class Seen(LinearCodec):
    """int8, and the shapes that it was given."""

    def __init__(self) -> None:
        super().__init__(8)
        self.shapes = list[tuple[int, ...]]()

    def encode(self, name: str, tensor: Tensor) -> EncodedTensor:
        self.shapes.append(tuple(tensor.shape))
        return super().encode(name, tensor)


def test_items_are_told_apart_wherever_their_batch_is() -> None:
    torch.manual_seed(0)
    items = torch.randn(20, 6, 16)
    model = model_from_module(Turned().eval(), (items[:2],), "turned").calibrated(Calibration((items,)))
    runs, whole = CalibrationRuns(model), model(items)[0]
    names = [op.name for op in model.graph.ops]
    apart = 0
    for count in range(len(names)):
        at = runs.at(names[:count])
        torch.testing.assert_close(at.answers({}), whole, rtol=1e-5, atol=1e-5)
        (tensor,) = at.segments.boundary
        seen = Seen()
        found = at.crossed(tensor, seen)
        alone = [at.segments.prefix(items[item : item + 1])[0] for item in range(20)]
        assert set(seen.shapes) == {tuple(one.shape) for one in alone}
        assert found.sizes.tolist() == [len(codec("int8").encode(tensor, one).data) for one in alone]
        assert at.quality({tensor: found.values}).cosine.value > 0.999
        kept = list(lossy_codecs(runs, at, tensor, 0.1))
        assert {"int8"} <= {one.codec.name for one in kept}
        if at.apart:
            apart += 1
            assert not any(one.codec.parameters for one in kept)  # nothing is learned of it
            assert {row.family for row in survey_of_cut(runs, names[:count])} == {"lossless", "linear"}
    assert apart == 5


def second_first() -> TorchModel:
    """Of an output whose second dimension is the batch."""

    class SecondFirst(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu().transpose(0, 1) * 2.0

    items = torch.randn(4, 3)
    return model_from_module(SecondFirst().eval(), (items[:2],), "second").calibrated(Calibration((items,)))


def test_calibration_inputs_that_do_not_begin_with_the_batch_are_refused() -> None:
    with pytest.raises(InvalidModel, match=r"calibration: cannot be told apart: .* does not begin with the batch"):
        CalibrationRuns(second_first())
