"""Weights by name: shared ones once, each dense in memory so that a file can hold it with its stride order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from partitioner.program import Program

__all__ = ["WeightStore", "contiguous_form", "stride_order"]


@dataclass(slots=True)
class WeightStore:
    """Collects tensors; the second name of the same memory is answered with the first."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    _by_memory: dict[tuple[object, ...], str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they were added."""
        return tuple(self.tensors)

    def add(self, name: str, tensor: torch.Tensor) -> str:
        """The name under which `tensor` is stored: an earlier one when it is the same memory in the same form."""
        plain = tensor.detach().cpu()
        key = (plain.data_ptr(), plain.dtype, plain.shape, plain.stride()) if plain.numel() else (name,)
        found = self._by_memory.setdefault(key, name)
        if found == name:
            self.tensors[name] = plain if _is_dense(plain) else plain.contiguous()
        return found

    def used(self, program: Program) -> Mapping[str, torch.Tensor]:
        """The weights that `program` reads."""
        return {name: self.tensors[name] for name in program.weights}


def stride_order(tensor: torch.Tensor) -> tuple[int, ...]:
    """The dimensions from the slowest to the fastest varying in memory: (0, 1, 2, 3), channels_last (0, 2, 3, 1)."""
    strides: tuple[int, ...] = tensor.stride()
    return tuple(sorted(range(tensor.dim()), key=lambda d: (-strides[d], d)))


def contiguous_form(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` permuted so that it is contiguous without a copy (it must be dense)."""
    return tensor.permute(stride_order(tensor))


def _is_dense(tensor: torch.Tensor) -> bool:
    return contiguous_form(tensor).is_contiguous()
