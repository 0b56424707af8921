"""The head that turns a transformer's token states into one sentence embedding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["SentenceEmbedding"]


class SentenceEmbedding(nn.Module):
    """Mean over the tokens that `attention_mask` keeps, scaled to length 1, as sentence-transformers does it.

    encoder: a transformer whose result has `last_hidden_state` [batch, tokens, width].
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask, both [batch, tokens] int64, to [batch, width] float32."""
        result: Any = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        states: Tensor = result.last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, dim=1)
