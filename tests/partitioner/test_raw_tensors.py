"""What still shows a model's inputs as they came, and plans that keep it on the edge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from partitioner.front_end import model_from_module
from partitioner.graph import Dimension, ModelGraph, Op, TensorInfo
from partitioner.onnx_front_end import model_from_onnx
from partitioner.raw_tensors import raw_tensors
from tests.partitioner.test_onnx_front_end import branching, proto, saved, value, weight

Change = Callable[[Tensor], Tensor]


class Changed(nn.Module):
    """A change of the picture, then a convolution."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, picture: Tensor) -> Tensor:
        made: Tensor = self.layer(self.change(picture))
        return made.relu()


def _padded_and_scaled(picture: Tensor) -> Tensor:
    return (nn.functional.pad(picture, (0, 1, 0, 1)) - 0.5) / 0.25


def _resized(picture: Tensor) -> Tensor:
    return nn.functional.interpolate(picture, scale_factor=2.0, mode="bilinear")


def _turned(picture: Tensor) -> Tensor:
    return picture.transpose(2, 3).flip(1).to(torch.float64).to(torch.float32)


def _shrunk(picture: Tensor) -> Tensor:
    """As `mode="area"` does it, by a pooling; then another one."""
    smaller = nn.functional.interpolate(picture, size=(6, 6), mode="area")
    return nn.functional.max_pool2d(smaller, 2, stride=1)


def _grey(picture: Tensor) -> Tensor:
    return torch.cat((picture.mean(1, keepdim=True).expand(-1, 2, -1, -1), picture.amax(1, keepdim=True)), 1)


def _normalised(picture: Tensor) -> Tensor:
    return nn.functional.layer_norm(nn.functional.instance_norm(picture).softmax(1), (3, 8, 8))


def _index() -> Tensor:
    return torch.tensor([0, 2])


def _filled(picture: Tensor) -> Tensor:
    return picture.index_fill(3, _index(), 0.0)


def _added_into(picture: Tensor) -> Tensor:
    return torch.zeros(1, 3, 8, 8).expand_as(picture).clone().index_add(3, torch.arange(8), picture)


def _reduced_into(picture: Tensor) -> Tensor:
    return picture.index_reduce(3, _index(), picture[:, :, :, :2], "amax")


def _put(picture: Tensor) -> Tensor:
    return picture.put(_index(), torch.zeros(2))


def _scattered(picture: Tensor) -> Tensor:
    places = torch.zeros(1, 3, 8, 8, dtype=torch.int64).expand_as(picture)
    return picture.clone().scatter_add(3, places, picture).scatter_reduce(3, places, picture, "amin")


@pytest.mark.filterwarnings("ignore:index_reduce")  # in beta, torch says
@pytest.mark.parametrize(
    "change",
    [
        *(_padded_and_scaled, _resized, _turned, _shrunk, _grey, _normalised),
        *(_filled, _added_into, _reduced_into, _put, _scattered),
    ],
)
def test_a_picture_that_was_only_moved_or_scaled_is_the_picture(change: Change) -> None:
    graph = model_from_module(Changed(change).eval(), (torch.randn(2, 3, 8, 8),)).graph
    before = [op for op in graph.ops if "conv" not in op.kind and op.kind != "relu"]
    assert before
    assert raw_tensors(graph) == {*graph.inputs, *(name for op in before for name in op.outputs)}


def _centred(picture: Tensor) -> Tensor:
    return (picture - picture.mean((1, 2, 3), keepdim=True)) / picture.std((1, 2, 3), keepdim=True)


def test_a_few_numbers_about_a_picture_are_not_the_picture() -> None:
    """Its mean in each channel crosses where a rule keeps the picture; what is taken off by it does not."""
    graph = model_from_module(Changed(_centred).eval(), (torch.randn(2, 3, 8, 8),)).graph
    made = [name for op in graph.ops if op.kind in ("mean", "std") for name in op.outputs]
    assert made
    assert not set(made) & raw_tensors(graph)


def _patches(picture: Tensor) -> Tensor:
    return nn.functional.unfold(picture, 2, stride=2).view(-1, 3, 4, 16)


def _less_a_half(picture: Tensor) -> Tensor:
    return picture - torch.full_like(picture, 0.5)


def _less_new_halves(picture: Tensor) -> Tensor:
    return picture - (picture.new_ones(picture.shape) * 0.5).exp()


def _where_bright(picture: Tensor) -> Tensor:
    return torch.where(picture > 0.5, picture, torch.zeros_like(picture))


def _turned_by_an_einsum(picture: Tensor) -> Tensor:
    return torch.einsum("bchw,c->bcwh", picture, torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    "change",
    [_centred, _patches, _less_a_half, _less_new_halves, _where_bright, _turned_by_an_einsum],
)
def test_what_the_convolution_reads_is_the_picture_changed_by_what_all_know(change: Change) -> None:
    graph = model_from_module(Changed(change).eval(), (torch.randn(2, 3, 8, 8),)).graph
    (layer,) = (op for op in graph.ops if "conv" in op.kind)
    raw = raw_tensors(graph)
    assert set(layer.inputs) <= raw
    assert not set(layer.outputs) & raw


@pytest.mark.parametrize(("window", "is_shown"), [(1, True), (3, False)])
@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_convolution_of_one_place_is_a_change_of_each_place(
    tmp_path: Path, layer: type[nn.Conv2d | nn.ConvTranspose2d], window: int, is_shown: bool
) -> None:
    """As a mean is taken off in networks for super-resolution; by torch and by ONNX alike."""
    made = nn.Sequential(layer(3, 3, window), nn.ReLU()).eval()
    graph = model_from_module(made, (torch.randn(2, 3, 8, 8),)).graph
    assert (set(graph.ops[0].outputs) <= raw_tensors(graph)) == is_shown
    kind = "Conv" if layer is nn.Conv2d else "ConvTranspose"
    node = helper.make_node(kind, ["x", "w"], ["y"], pads=[window // 2] * 4)
    file = proto([node], [weight("w", 3, 3, window, window)], [value("x", "batch", 3, 8, 8)])
    read = model_from_onnx(saved(tmp_path / "a.onnx", file)).graph
    assert ("y" in raw_tensors(read)) == is_shown


class Tokens(nn.Module):
    """Word and position, a norm, a layer; the words also past it."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50, 8), nn.Embedding(4, 8)
        self.norm, self.layer = nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, ids: Tensor) -> Tensor:
        words = self.words(ids) + self.places(torch.arange(4))
        made: Tensor = self.layer(self.norm(words))
        return torch.cat((made, words), 2) + made.repeat(1, 1, 2)


def test_words_looked_up_are_the_words_and_a_part_of_others_shows_them_too() -> None:
    """A sum with what is no input shows them no more."""
    graph = model_from_module(Tokens().eval(), (torch.zeros(2, 4, dtype=torch.int64),)).graph
    shown = [op.kind for op in graph.ops if set(op.outputs) & raw_tensors(graph)]
    assert shown == ["embedding", "add", "layer_norm", "cat"]


def _one_op(kind: str) -> ModelGraph:
    """Of an op of that kind between a picture and another one."""
    shape = (Dimension(1, 0), Dimension(0, 3), Dimension(0, 8), Dimension(0, 8))
    return ModelGraph(
        ops=(Op("op", kind, 0, ("picture",), ("made",), 0, 0, 0),),
        tensors={
            "picture": TensorInfo("picture", "float32", shape, None, ("op",), False),
            "made": TensorInfo("made", "float32", shape, "op", (), True),
        },
        inputs=("picture",),
        outputs=("made",),
    )


@pytest.mark.parametrize(
    "kind",
    [
        *("If", "Loop", "Scan", "RoiAlign", "MaxRoiPool", "MaxUnpool", "Col2Im", "TensorScatter", "Swish", "CumProd"),
        *(
            "fake_quantize_per_tensor_affine",
            "fake_quantize_per_channel_affine",
            "col2im",
            "isin",
            "embedding_bag",
            "vander",
        ),
        *("DFT", "STFT", "RotaryEmbedding", "fft_rfft", "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
    ],
)
def test_what_cuts_out_rounds_or_may_hand_on_shows_the_picture(kind: str) -> None:
    assert raw_tensors(_one_op(kind)) == {"picture", "made"}


@pytest.mark.parametrize("kind", ["Conv", "QLinearConv", "LSTM", "MatMul", "convolution", "linear"])
def test_what_mixes_places_by_weights_does_not(kind: str) -> None:
    assert raw_tensors(_one_op(kind)) == {"picture"}


def test_a_branch_is_taken_to_hand_on_what_decides_it_or_is_captured(tmp_path: Path) -> None:
    """x @ w ends what shows x; the sum of x that decides does not."""
    file = branching("is_positive", [value("x", "batch", 4)])
    assert "y" not in raw_tensors(model_from_onnx(saved(tmp_path / "a.onnx", file)).graph)
    branch = file.graph.node[-1]
    for attribute in branch.attribute:
        attribute.g.node[0].input[0] = "x"
    assert "y" in raw_tensors(model_from_onnx(saved(tmp_path / "b.onnx", file)).graph)


@pytest.mark.parametrize(
    ("equation", "scale", "is_shown"),
    [
        ("bhwc->bchw", (), True),
        ("bhwc,c->bchw", (3,), True),
        ("bhwc->bhw", (), True),
        ("bhwc->b", (), False),
        ("bhwc,cd->bhwd", (3, 3), False),
        ("bhwc,c->bhw", (3,), False),
    ],
)
def test_an_einsum_shows_the_picture_unless_it_mixes_it_by_weights(
    tmp_path: Path, equation: str, scale: tuple[int, ...], is_shown: bool
) -> None:
    read = ["x", *(["w"] if scale else [])]
    node = helper.make_node("Einsum", read, ["y"], equation=equation)
    file = proto([node], [weight("w", *scale)] if scale else [], [value("x", "batch", 8, 8, 3)])
    graph = model_from_onnx(saved(tmp_path / "a.onnx", file)).graph
    assert ("y" in raw_tensors(graph)) == is_shown
