"""What torch's two exporters write of networks as people have them: imported, cut, run in halves."""

# mypy: disable-error-code="no-any-return"
# (a module's call returns Any)
from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InvalidModel
from partitioner.cost_model import Costing
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.measurements import CodecRate, Provenance
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_session import OnnxSession
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting


class Bottleneck(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.second, self.second_norm = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.shortcut = nn.Conv2d(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class Classifier(nn.Module):
    """A small ResNet: stem, pooling, two blocks, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks, self.head = nn.Sequential(Bottleneck(8, 8, 1), Bottleneck(8, 16, 2)), nn.Linear(16, 10)

    def forward(self, picture: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.blocks(self.stem(picture)), 1).flatten(1))


class Encoder(nn.Module):
    """A transformer over tokens with a padding mask, averaged."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.tokens, self.places = nn.Embedding(50, 16), nn.Parameter(torch.randn(12, 16))
        self.layers, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.layers(self.tokens(ids) + self.places, src_key_padding_mask=mask == 0)
        kept = mask.unsqueeze(-1).to(x.dtype)
        return self.head((x * kept).sum(1) / kept.sum(1).clamp(min=1))


class Segmenter(nn.Module):
    """A U-Net of two scales, up by a transposed convolution and by bilinear resizing, group norm in between."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 2, 1)
        self.up, self.join, self.norm = nn.ConvTranspose2d(16, 16, 2, 2), nn.Conv2d(32, 8, 3, 1, 1), nn.GroupNorm(2, 8)
        self.out = nn.Conv2d(16, 2, 3, 1, 1)

    def forward(self, picture: Tensor) -> Tensor:
        high = F.relu(self.one(picture))
        middle = F.relu(self.two(high))
        y = torch.cat([self.up(F.relu(self.three(middle))), middle], 1)
        y = F.interpolate(F.relu(self.norm(self.join(y))), scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(torch.cat([y, high], 1))


class Speech(nn.Module):
    """A convolution, an LSTM of two layers and both directions, a GRU; the LSTM's state is an output too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lstm = nn.Conv1d(4, 8, 3, padding=1), nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)
        self.gru, self.head = nn.GRU(12, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        heard, (state, _) = self.lstm(F.relu(self.conv(sound)).transpose(1, 2))
        return self.head(self.gru(heard)[0]), state.transpose(0, 1)


class Detector(nn.Module):
    """As YOLO: slices stacked, channels split, pyramids up and down, boxes from a grid, the best five of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down, self.lateral = nn.Conv2d(12, 8, 3, 1, 1), nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 8, 1)
        self.part, self.heads = nn.Conv2d(4, 4, 3, 1, 1), nn.ModuleList(nn.Conv2d(16, 21, 1) for _ in range(2))
        self.anchors: Tensor
        self.register_buffer("anchors", torch.rand(2, 3, 2) * 10)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        corners = [picture[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
        left, right = F.silu(self.stem(torch.cat(corners, 1))).chunk(2, 1)
        high = torch.cat([left, F.silu(self.part(right))], 1)
        low = F.silu(self.down(high))
        low = torch.cat([F.max_pool2d(low, k, 1, k // 2) for k in (1, 5)], 1)[:, :16]
        high = torch.cat([F.interpolate(self.lateral(low), scale_factor=2.0, mode="nearest"), high], 1)
        boxes = torch.cat([self.boxes(at, features) for at, features in enumerate((high, low))], 1)
        best, where = boxes[..., 4].topk(5, dim=1)
        return boxes, best, where

    def boxes(self, at: int, features: Tensor) -> Tensor:
        batch, _, height, width = features.shape
        y = self.heads[at](features).view(batch, 3, 7, height, width).permute(0, 1, 3, 4, 2).sigmoid()
        down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centre = (y[..., 0:2] * 2 - 0.5 + torch.stack([across, down], -1).float()) * (32 / height)
        size = (y[..., 2:4] * 2) ** 2 * self.anchors[at].view(1, 3, 1, 1, 2)
        return torch.cat([centre, size, y[..., 4:]], -1).view(batch, -1, 7)


NETWORKS: Mapping[str, tuple[type[nn.Module], tuple[Tensor, ...]]] = {
    "classifier": (Classifier, (torch.zeros(2, 3, 32, 32),)),
    "encoder": (Encoder, (torch.zeros(2, 12, dtype=torch.int64), torch.ones(2, 12, dtype=torch.int64))),
    "segmenter": (Segmenter, (torch.zeros(2, 3, 16, 16),)),
    "speech": (Speech, (torch.zeros(2, 4, 10),)),
    "detector": (Detector, (torch.zeros(2, 3, 32, 32),)),
}


def network(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """It with random weights, and examples of a batch of two."""
    torch.manual_seed(0)
    kind, examples = NETWORKS[name]
    return kind().eval(), examples


def export(path: Path, module: nn.Module, examples: tuple[Tensor, ...], dynamo: bool, batch: str = "dynamic") -> Path:
    """The file that torch.onnx.export writes of it."""
    names = [f"in{at}" for at in range(len(examples))]
    more: dict[str, object] = {"input_names": names}
    if batch == "dynamic" and dynamo:
        more["dynamic_shapes"] = tuple({0: torch.export.Dim("batch", min=1)} for _ in names)
    elif batch == "dynamic":
        more["dynamic_axes"] = {name: {0: "batch"} for name in names}
    given = examples if batch == "dynamic" else tuple(e[:1] for e in examples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporters use what torch has deprecated
        torch.onnx.export(module, given, path, dynamo=dynamo, verbose=False, **more)  # type: ignore[arg-type]
    return path


def values(examples: tuple[Tensor, ...], batch: int) -> tuple[Tensor, ...]:
    """Noise; for integers ones, a valid token that no mask hides."""
    generator = torch.Generator().manual_seed(batch)
    noise = (torch.randn(batch, *e.shape[1:], generator=generator) for e in examples)
    return tuple(
        n if e.is_floating_point() else torch.ones_like(n).long() for n, e in zip(noise, examples, strict=True)
    )


def device(flops_per_s: float) -> DeviceProfile:
    made = Provenance("2026-01-01T00:00:00+00:00", "stated", "2.13", 0.0, False, "default")
    rates = {"raw": CodecRate(0.0, 0.0, 0.0, 0.0), "zstd": CodecRate(1e-9, 1e-5, 1e-9, 1e-5)}
    return DeviceProfile("cpu", "stated", 1, 1.0, {"float32": flops_per_s}, 1e12, 1e-7, rates, made)


SETTING = Setting(device(1e7), device(1e9), Link.of("20mbps", "0ms"), Costing())


@pytest.mark.parametrize(("name", "dynamo"), [*((name, False) for name in NETWORKS), ("detector", True)])
def test_plans_of_the_frontier_run_as_the_whole_file_does(tmp_path: Path, name: str, dynamo: bool) -> None:
    module, examples = network(name)
    file = export(tmp_path / "a.onnx", module, examples, dynamo)
    model, reference = model_from_onnx(file), onnxruntime.InferenceSession(file)
    frontier = frontier_of(model, SETTING)
    assert len({entry.plan.kind for entry in frontier.plans}) == 3
    for batch in (1, 3):
        inputs = values(examples, batch)
        fed = dict(zip((i.name for i in reference.get_inputs()), (t.numpy() for t in inputs), strict=True))
        expected = tuple(map(torch.from_numpy, reference.run(None, fed)))
        for entry in frontier.plans:
            segments = model.split(entry.plan.edge_ops)
            found = segments.suffix(*segments.prefix(*inputs))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
            assert all(map(torch.equal, found, model(*inputs)))


def test_fused_halves_agree_too(tmp_path: Path) -> None:
    module, examples = network("detector")
    model = model_from_onnx(export(tmp_path / "a.onnx", module, examples, dynamo=False))
    ops, inputs = [op.name for op in model.graph.ops], values(examples, 2)
    for count in range(0, len(ops) + 1, 9):
        cut = model.split(ops[:count])
        halves = [OnnxSession(model.onnx_form, half.inputs, half.outputs) for half in (cut.prefix, cut.suffix)]
        torch.testing.assert_close(halves[1](*halves[0](*inputs)), model(*inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "dynamo"), [("classifier", True), ("segmenter", False), ("detector", False)])
def test_a_file_exported_without_a_word_about_the_batch_takes_any(tmp_path: Path, name: str, dynamo: bool) -> None:
    module, examples = network(name)
    model = model_from_onnx(export(tmp_path / "a.onnx", module, examples, dynamo, batch="fixed"))
    inputs = values(examples, 3)
    with torch.inference_mode():
        expected = module(*inputs)
    torch.testing.assert_close(
        model(*inputs), expected if isinstance(expected, tuple) else (expected,), rtol=1e-4, atol=1e-4
    )


def test_a_batch_that_stands_in_computed_sizes_is_refused_by_its_reason(tmp_path: Path) -> None:
    module, examples = network("encoder")
    with pytest.raises(
        InvalidModel, match=r"batch fixed to 1, and the model fails with another.*dynamic batch dimension"
    ):
        model_from_onnx(export(tmp_path / "a.onnx", module, examples, dynamo=False, batch="fixed"))
