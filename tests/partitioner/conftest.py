"""Small models of many shapes, each exported once a session."""

# mypy: disable-error-code="no-any-return"
# (a module's call returns Any)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partitioner.front_end import model_from_module
from partitioner.torch_model import TorchModel


class Residual(nn.Module):
    """In-place relu after an in-place add, batch norm in between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm, self.relu, self.head = nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        y = self.norm(self.second(x))
        y += x
        return self.head(self.relu(y).mean((2, 3)))


class Dense(nn.Module):
    """Each layer reads all the ones before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 4 * i, 4, 3, padding=1) for i in range(4))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(F.relu(layer(torch.cat(features, 1))))
        return F.adaptive_avg_pool2d(torch.cat(features, 1), 1).flatten(1)


class Inception(nn.Module):
    """Four branches side by side, joined again."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.three, self.five = (
            nn.Conv2d(3, 4, 1),
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(3, 4, 5, padding=2),
        )
        self.out = nn.Conv2d(15, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool2d(x, 3, 1, 1)
        return self.out(torch.cat([self.one(x), self.three(x), self.five(x), pooled], 1)).sigmoid()


class EncoderDecoder(nn.Module):
    """Two scales down and up, with skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep, self.up = (
            nn.Conv2d(3, 6, 3, 2, 1),
            nn.Conv2d(6, 8, 3, 2, 1),
            nn.ConvTranspose2d(8, 6, 2, 2),
        )
        self.out = nn.ConvTranspose2d(12, 3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        high = F.leaky_relu(self.down(x))
        low = F.gelu(self.deep(high), approximate="tanh")
        return x + self.out(torch.cat([F.relu(self.up(low)), high], 1))


class Attention(nn.Module):
    """One transformer block over [batch, 6, 16], with a mask of constants."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out, self.norm = nn.Linear(16, 48), nn.Linear(16, 16), nn.LayerNorm(16)
        self.mask: Tensor
        self.register_buffer("mask", torch.ones(6, 6).tril().bool(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (t.view(batch, length, 4, 4).transpose(1, 2) for t in self.qkv(self.norm(x)).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        return x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class MultiInput(nn.Module):
    """A picture and a vector in, a dict of a tuple and a tensor out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.line, self.head = nn.Conv2d(3, 4, 3), nn.Linear(7, 4), nn.Linear(4, 2)

    def forward(self, image: Tensor, vector: Tensor) -> dict[str, object]:
        seen, told = self.conv(image).mean((2, 3)), self.line(vector).relu_()
        return {"both": (seen * told, self.head(seen + told)), "vector": told}


class EarlyOutput(nn.Module):
    """Outputs made early and late; one is an input, one stands twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))

    def forward(self, x: Tensor) -> list[Tensor]:
        early = self.layers[0](x)
        middle = self.layers[1](early.relu())
        late = self.layers[3](self.layers[2](middle.tanh()).relu() + early)
        return [late, early, x, early]


class SharedWeights(nn.Module):
    """One embedding at both ends, one layer twice, a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layer, self.out = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(8, 11, bias=False)
        self.out.weight = self.embedding.weight
        self.register_buffer("scale", torch.linspace(0.5, 2, 8))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.layer(self.embedding(ids) * self.scale)
        return self.out(self.layer(x.tanh()))


class Views(nn.Module):
    """In-place changes seen through views and chunks, permutes, constants of the code."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.conv(x).chunk(2, 1)
        left.mul_(2).add_(right)
        y = torch.cat([right, left], 1).permute(0, 2, 3, 1)
        y[..., 0] = y[..., 0] + torch.tensor([1.5])
        rows = y.transpose(1, 2).unbind(2)
        return rows[0] - rows[1].flip(-1) + y.reshape(y.shape[0], -1)[:, :1, None]


class BatchSizes(nn.Module):
    """Sizes that depend on the batch, the batch as a number, values of no input."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.token = nn.Linear(4, 4), nn.Parameter(torch.randn(1, 1, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        batch = x.shape[0]
        heads = self.line(x).view(batch * 3, 4).softmax(-1)
        tokens = torch.cat([self.token.expand(batch, -1, -1), heads.view(batch, 3, 4)], 1)
        share = (tokens.sum((1, 2)) + torch.arange(batch)) * batch / (batch + 1)
        return tokens + torch.zeros(batch, 4, 4), share


class Recurrent(nn.Module):
    """An op with several results."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.norm = nn.LSTM(5, 6, batch_first=True), nn.GroupNorm(2, 6)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        every, (last, _) = self.lstm(x)
        best = every.max(1)
        return self.norm(best.values) + last[0], best.indices


def _pictures(batch: int, channels: int = 3) -> tuple[Tensor, ...]:
    return (torch.randn(batch, channels, 8, 8),)


@dataclass(frozen=True)
class Case:
    """A module, inputs of any batch for it, and its Model."""

    name: str
    module: nn.Module
    inputs: Callable[[int], tuple[Tensor, ...]]
    model: TorchModel


Inputs = Callable[[int], tuple[Tensor, ...]]

ARCHITECTURES: dict[str, tuple[type[nn.Module], Inputs]] = {
    "residual": (Residual, _pictures),
    "dense": (Dense, _pictures),
    "inception": (Inception, _pictures),
    "encoder-decoder": (EncoderDecoder, _pictures),
    "attention": (Attention, lambda batch: (torch.randn(batch, 6, 16),)),
    "multi-input": (MultiInput, lambda batch: (*_pictures(batch), torch.randn(batch, 7))),
    "early-output": (EarlyOutput, lambda batch: (torch.randn(batch, 6),)),
    "shared-weights": (SharedWeights, lambda batch: (torch.randint(0, 11, (batch, 5)),)),
    "views": (Views, lambda batch: _pictures(batch, 4)),
    "batch-sizes": (BatchSizes, lambda batch: (torch.randn(batch, 3, 4),)),
    "recurrent": (Recurrent, lambda batch: (torch.randn(batch, 4, 5),)),
    "channels-last": (Residual, _pictures),
}


@pytest.fixture(scope="session")
def case_named() -> Callable[[str], Case]:
    """A Case by architecture name; each is exported when first asked for."""
    made: dict[str, Case] = {}

    def case(name: str) -> Case:
        if name not in made:
            made[name] = _export(name)
        return made[name]

    return case


def _export(name: str) -> Case:
    torch.manual_seed(0)
    kind, inputs = ARCHITECTURES[name]
    module = kind().eval()
    if name == "channels-last":
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Case(name, module, inputs, model_from_module(module, inputs(1), name))


@pytest.fixture(scope="session", params=ARCHITECTURES)
def case(request: pytest.FixtureRequest, case_named: Callable[[str], Case]) -> Case:
    """Every architecture in turn."""
    return case_named(request.param)


@pytest.fixture(scope="session")
def residual(case_named: Callable[[str], Case]) -> Case:
    """One small convolutional model, for tests where any model does."""
    return case_named("residual")
