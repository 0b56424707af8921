"""The networks of the published comparisons, written here in torch layers: real sizes, random weights.

Times and shapes do not depend on the weights, so latencies are those of the trained networks; answers are not, so
nothing that loses bits can be judged on them. All take 224 x 224 pictures and give 1,000 logits.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.spec import ImagePreprocessing, ModelSpec

__all__ = ["NETWORKS", "network"]

SIDE, CLASSES = 224, 1000
PREPROCESSING = ImagePreprocessing(height=SIDE, width=SIDE, resize_shorter=256)


def alexnet() -> nn.Module:
    """Krizhevsky 2014 ("one weird trick"): five convolutions, three dense layers; 61 M parameters."""
    return nn.Sequential(
        *_conv(3, 64, 11, stride=4, padding=2, norm=False),
        nn.MaxPool2d(3, 2),
        *_conv(64, 192, 5, padding=2, norm=False),
        nn.MaxPool2d(3, 2),
        *_conv(192, 384, 3, norm=False),
        *_conv(384, 256, 3, norm=False),
        *_conv(256, 256, 3, norm=False),
        nn.MaxPool2d(3, 2),
        *_dense_head(256 * 6 * 6),
    )


def vgg16() -> nn.Module:
    """Simonyan and Zisserman 2015, configuration D: thirteen convolutions, three dense layers; 138 M parameters."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers.extend(_conv(inputs, outputs, 3, norm=False))
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, *_dense_head(512 * 7 * 7))


def resnet18() -> nn.Module:
    """He et al. 2016: eight residual blocks; 12 M parameters."""
    blocks: list[nn.Module] = []
    inputs = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [_Residual(inputs, outputs, stride), _Residual(outputs, outputs, 1)]
        inputs = outputs
    stem = [*_conv(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, *_pooled_head(inputs))


def inception() -> nn.Module:
    """Szegedy et al. 2015 (GoogLeNet) with batch norm, without its auxiliary heads: nine blocks of four branches; 7 M
    parameters."""
    stem = [
        *_conv(3, 64, 7, stride=2),
        nn.MaxPool2d(3, 2, 1),
        *_conv(64, 64, 1),
        *_conv(64, 192, 3),
        nn.MaxPool2d(3, 2, 1),
    ]
    blocks: list[nn.Module] = []
    inputs = 192
    for row in _INCEPTION:
        if row is None:
            blocks.append(nn.MaxPool2d(3, 2, 1))
            continue
        blocks.append(_Branches(inputs, row))
        inputs = row[0] + row[2] + row[4] + row[5]
    return nn.Sequential(*stem, *blocks, *_pooled_head(inputs))


def densenet121() -> nn.Module:
    """Huang et al. 2017: 58 layers of growth 32 in four blocks, each reading all before it; 8 M parameters."""
    layers: list[nn.Module] = [*_conv(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, 1)]
    width = 64
    for number, count in enumerate((6, 12, 24, 16)):
        for _ in range(count):
            layers.append(_Dense(width, growth=32))
            width += 32
        if number < 3:
            layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width // 2, 1, bias=False), nn.AvgPool2d(2)]
            width //= 2
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), *_pooled_head(width))


NETWORKS = {
    "alexnet": alexnet,
    "vgg16": vgg16,
    "resnet18": resnet18,
    "inception": inception,
    "densenet121": densenet121,
}


def network(name: str) -> Model:
    """The network of that name as a model that takes pictures (as a tensor or as files)."""
    torch.manual_seed(0)
    preprocessing: Mapping[str, ImagePreprocessing] = {"image": PREPROCESSING}
    example = (torch.zeros(2, 3, SIDE, SIDE),)
    module = NETWORKS[name]().eval()
    return model_from_module(ModelSpec(module, example, name, ("image",), ("logits",), preprocessing))


# Channels of the branches of one inception block (table 1 of the paper): 1 x 1, before the 3 x 3, 3 x 3, before the
# 5 x 5, 5 x 5, after the pooling. None: a pooling between stages.
_INCEPTION: tuple[tuple[int, int, int, int, int, int] | None, ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def _conv(
    inputs: int, outputs: int, size: int, *, stride: int = 1, padding: int | None = None, norm: bool = True
) -> list[nn.Module]:
    """A convolution, batch norm where asked for, and a ReLU."""
    pad = size // 2 if padding is None else padding
    convolution = nn.Conv2d(inputs, outputs, size, stride, pad, bias=not norm)
    return [convolution, *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU()]


def _dense_head(features: int) -> list[nn.Module]:
    hidden = [nn.Linear(features, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    return [nn.Flatten(), *hidden, nn.Linear(4096, CLASSES)]


def _pooled_head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_conv(inputs, outputs, 3, stride=stride), *_conv(outputs, outputs, 3)[:-1])
        same = stride == 1 and inputs == outputs
        self.way_round = nn.Identity() if same else nn.Sequential(*_conv(inputs, outputs, 1, stride=stride)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.way_round(x))


class _Branches(nn.Module):
    def __init__(self, inputs: int, channels: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, before_three, three, before_five, five, pooled = channels
        self.branches = nn.ModuleList(
            [
                nn.Sequential(*_conv(inputs, one, 1)),
                nn.Sequential(*_conv(inputs, before_three, 1), *_conv(before_three, three, 3)),
                nn.Sequential(*_conv(inputs, before_five, 1), *_conv(before_five, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), *_conv(inputs, pooled, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class _Dense(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), *_conv(width, 4 * growth, 1), nn.Conv2d(4 * growth, growth, 3, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layer(x)], 1)
