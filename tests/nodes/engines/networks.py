"""Two small networks of what engines must cope with, and inputs for them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Pictures", "Sentences", "pictures", "sentences"]


class Pictures(nn.Module):
    """Convolutions with a skip, pooling, an output made early."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        early = F.relu6(self.first(x))
        mixed = self.norm(self.second(early)) + early
        return early.mean((2, 3)), self.head(F.adaptive_avg_pool2d(mixed, 1).flatten(1))


class Sentences(nn.Module):
    """Attention over [batch, 6] tokens with a mask; sizes are taken from the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.qkv, self.norm = nn.Embedding(20, 16), nn.Linear(16, 48), nn.LayerNorm(16)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.words(ids)
        q, k, v = (t.view(ids.shape[0], 6, 4, 4).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        allowed = mask.bool()[:, None, None, :].expand(ids.shape[0], 1, 6, 6)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).reshape(x.shape)
        seen: Tensor = (self.norm(x + mixed) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return seen


def pictures(batch: int, size: int = 10) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(batch)),)


def sentences(batch: int, length: int = 6, words: int = 20) -> tuple[Tensor, ...]:
    ids = torch.randint(0, words, (batch, length), generator=torch.Generator().manual_seed(batch))
    return ids, (torch.arange(length)[None] < torch.arange(3, 3 + batch)[:, None]).long()
