"""How a tensor lies in memory: its stride order, its bytes in that order, and a tensor over such bytes again.

A dense tensor keeps its strides on the wire (a channels_last activation arrives as channels_last, so that the suffix
runs the same kernels as in one process). One that is not dense, or expanded, becomes dense.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence

import torch

from isthmus.errors import InvalidRequest
from nodes.codecs.base import EncodedTensor
from nodes.codecs.dtypes import dtype_name, dtype_named

__all__ = [
    "checked_size",
    "from_memory",
    "in_memory_order",
    "in_stride_order",
    "memory_bytes",
    "memory_view",
    "ordered_strides",
    "stride_order",
    "tensor_over",
]

_MAX_DIMENSIONS = 64


def stride_order(tensor: torch.Tensor, name: str = "tensor") -> tuple[int, ...]:
    """The dimensions of `tensor` from outermost to innermost in memory; (0, 1, 2, ...) for C order.

    Raises InvalidRequest under `name` for a sparse tensor.
    """
    if tensor.layout != torch.strided:
        raise InvalidRequest(name, "must be a dense tensor", value=str(tensor.layout), remedy="send .to_dense()")
    plain = tuple(range(tensor.dim()))
    if tensor.stride() == ordered_strides(tensor.shape, plain):
        return plain  # almost every tensor: not worth asking torch
    # empty_like keeps the strides of a dense tensor and says how torch itself would make another one dense.
    strides = torch.empty_like(tensor, device="meta", memory_format=torch.preserve_format).stride()
    # A dimension of size 1 goes inside the one that shares its stride: only so do the strides come out the same.
    return tuple(sorted(range(tensor.dim()), key=lambda d: (-strides[d], tensor.shape[d] == 1)))


def ordered_strides(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """The strides of a dense tensor of `shape` whose dimensions lie in `order`, outermost first."""
    strides, step = [0] * len(shape), 1
    for dimension in reversed(order):
        strides[dimension] = step
        step *= max(shape[dimension], 1)
    return tuple(strides)


def in_memory_order(tensor: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """The elements as they lie in memory, one dimension, on the CPU. A view where the tensor is dense already."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    ordered = plain.permute(tuple(order)).contiguous()
    # Not reshape(-1): one element counts as contiguous with any stride, and then has no bytes view.
    return ordered.as_strided((ordered.numel(),), (1,)).cpu()


def memory_bytes(name: str, tensor: torch.Tensor, order: Sequence[int]) -> bytes:
    """The bytes of `tensor` in stride order `order`. Raises InvalidRequest naming it for a dtype that cannot travel."""
    return memory_view(name, tensor, order).tobytes()


def memory_view(name: str, tensor: torch.Tensor, order: Sequence[int]) -> memoryview:
    """The same, not copied where the tensor is dense already: for as long as nobody writes to it."""
    dtype_name(tensor.dtype, name)
    return in_memory_order(tensor, order).view(torch.uint8).numpy().data


def checked_size(encoded: EncodedTensor, max_bytes: int) -> int:
    """Bytes of the decoded tensor, from a header that nobody has checked yet.

    Raises InvalidRequest for an unknown dtype, a shape or stride order that is not one, or more than `max_bytes`.
    """
    dtype, shape = dtype_named(encoded.dtype, encoded.name), encoded.shape
    if len(shape) > _MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise InvalidRequest(encoded.name, "has a shape that is not one", value=shape)
    if encoded.stride_order and sorted(encoded.stride_order) != list(range(len(shape))):
        raise InvalidRequest(encoded.name, "has a stride order that is not one", value=encoded.stride_order)
    # Sizes next to a zero must not overflow either: torch computes strides from them.
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > max_bytes:
        raise InvalidRequest(encoded.name, f"decodes to more than {max_bytes} bytes", value=shape)
    return math.prod(shape) * dtype.itemsize


def from_memory(encoded: EncodedTensor, data: bytes | bytearray | memoryview, max_bytes: int) -> torch.Tensor:
    """The tensor that the header of `encoded` describes, over `data` without a copy (bool is copied).

    Raises InvalidRequest as `checked_size` does, and when `data` has another length than the header says.
    """
    size = checked_size(encoded, max_bytes)
    if len(data) != size:
        raise InvalidRequest(encoded.name, f"must decode to {size} bytes", value=len(data))
    flat = tensor_over(data, dtype_named(encoded.dtype))
    order = encoded.stride_order or tuple(range(len(encoded.shape)))
    return flat.as_strided(encoded.shape, ordered_strides(encoded.shape, order))


def in_stride_order(values: torch.Tensor, encoded: EncodedTensor, dtype: torch.dtype) -> torch.Tensor:
    """A copy of `values` in `dtype` and in the stride order that the header says."""
    strides = ordered_strides(encoded.shape, encoded.stride_order or range(len(encoded.shape)))
    return torch.empty_strided(encoded.shape, strides, dtype=dtype).copy_(values)


def tensor_over(data: bytes | bytearray | memoryview, dtype: torch.dtype) -> torch.Tensor:
    """The elements in `data`, one dimension, without a copy (bool is copied): nobody may write to them."""
    if len(data) == 0:
        return torch.empty(0, dtype=dtype)
    _silence_read_only_warning()
    if dtype == torch.bool:  # a byte other than 0 and 1 would be undefined behaviour as a bool
        return torch.frombuffer(data, dtype=torch.uint8) != 0
    return torch.frombuffer(data, dtype=dtype)


@functools.cache
def _silence_read_only_warning() -> None:
    # Segments are functional, so nobody writes to the received bytes. torch warns once a process: let it be now.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.frombuffer(b"\0", dtype=torch.uint8)
