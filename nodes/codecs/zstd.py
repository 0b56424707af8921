"""Lossless compression of any tensor: zstd, level 1, byte planes where they pay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from nodes.codecs.base import DEFAULT_MAX_BYTES, EncodedTensor
from nodes.codecs.dtypes import dtype_name, dtype_named
from nodes.codecs.frame import pack, pack_pieces, unpack
from nodes.codecs.layout import checked_size, from_memory, memory_bytes, memory_view, stride_order

__all__ = ["ZstdCodec"]


class ZstdCodec:
    """0.16 (after a late ReLU) to 0.93 (dense) of the raw bytes on float32 activations of a CNN."""

    name = "zstd"
    lossless = True
    parameters: Mapping[str, str] = {}

    def encode(self, name: str, tensor: torch.Tensor) -> EncodedTensor:
        """See `Codec`."""
        order = stride_order(tensor, name)
        data = pack(memory_bytes(name, tensor, order), tensor.element_size())
        return EncodedTensor(name, dtype_name(tensor.dtype), tuple(tensor.shape), order, self.name, {}, data)

    def encode_pieces(self, name: str, tensor: torch.Tensor, count: int) -> Iterator[EncodedTensor]:
        """See `PiecewiseCodec`."""
        order = stride_order(tensor, name)
        dtype, shape = dtype_name(tensor.dtype, name), tuple(tensor.shape)
        packed = pack_pieces(memory_view(name, tensor, order), tensor.element_size(), count)
        for number, data in enumerate(packed):
            yield EncodedTensor(name, dtype, shape, order, self.name, {}, data, number > 0)

    def decode(self, encoded: EncodedTensor, max_bytes: int = DEFAULT_MAX_BYTES) -> torch.Tensor:
        """See `Decoder`."""
        size = checked_size(encoded, max_bytes)
        content = unpack(encoded.name, encoded.content, dtype_named(encoded.dtype).itemsize, size)
        return from_memory(encoded, content, max_bytes)
