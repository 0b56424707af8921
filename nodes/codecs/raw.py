"""The bytes of a tensor as they lie in memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from nodes.codecs.base import DEFAULT_MAX_BYTES, EncodedTensor
from nodes.codecs.dtypes import dtype_name
from nodes.codecs.layout import from_memory, memory_bytes, stride_order

__all__ = ["RawCodec"]


class RawCodec:
    """No compression: one copy to encode, none to decode (the tensor lives in the received bytes)."""

    name = "raw"
    lossless = True
    parameters: Mapping[str, str] = {}

    def encode(self, name: str, tensor: torch.Tensor) -> EncodedTensor:
        """See `Codec`."""
        order = stride_order(tensor, name)
        data = memory_bytes(name, tensor, order)
        return EncodedTensor(name, dtype_name(tensor.dtype), tuple(tensor.shape), order, self.name, {}, data)

    def decode(self, encoded: EncodedTensor, max_bytes: int = DEFAULT_MAX_BYTES) -> torch.Tensor:
        """See `Decoder`."""
        return from_memory(encoded, encoded.data, max_bytes)
