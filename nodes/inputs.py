"""A request's inputs: as a client sent them, and as a node holds them once they are checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from nodes.preprocessing import ImageBatch

__all__ = ["ModelInputs", "RequestInput"]


class RequestInput(NamedTuple):
    """One input as a client sent it: a tensor, or the byte strings of a BYTES input (read is None then).

    read: makes the tensor of what came, whose length is known to be right; to be called once all else is, since it
    takes typed contents value by value with some versions of protobuf. Raises InvalidRequest for values that the
    datatype has not.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    read: Callable[[], torch.Tensor] | None
    elements: tuple[bytes, ...] = ()


class ModelInputs(NamedTuple):
    """The inputs of one request, checked against the model.

    values: by input name, a tensor or the image files of an input that declares preprocessing.
    batch: items in the request, the same for every input.
    """

    values: Mapping[str, torch.Tensor | ImageBatch]
    batch: int

    @property
    def form(self) -> str:
        """ "bytes" when some input came as encoded files, "tensor" otherwise."""
        return "bytes" if self.file_bytes else "tensor"

    @property
    def size_bytes(self) -> int:
        """Bytes of all inputs as the client sent them."""
        return sum(v.size_bytes if isinstance(v, ImageBatch) else v.nbytes for v in self.values.values())

    @property
    def file_bytes(self) -> int:
        """Length of all encoded files together."""
        return sum(value.size_bytes for value in self.values.values() if isinstance(value, ImageBatch))
