"""The large weights of an ONNX form in one file on disk, which sessions map into memory instead of copying them.

Weights that a session is handed are copied when it starts; those that its model names in a file are mapped, so that all
sessions, of all processes, share the pages of the one file. What onnxruntime lays out anew for its kernels it still
copies, unless it is told not to (see `OnnxSession`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch

__all__ = ["WeightFile", "write_weights"]

# Of pages on most machines, so that each weight begins one.
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Where the weights of one form lie: the place in bytes of each, by name, in the file `path`."""

    path: Path
    places: Mapping[str, int]

    @property
    def is_there(self) -> bool:
        """Whether nobody deleted it since."""
        return self.path.exists()

    def point(self, graph: onnx.GraphProto, weights: Mapping[str, torch.Tensor]) -> None:
        """Make the placeholders of a slice say where in this file their data are."""
        for held in graph.initializer:
            if held.name in self.places and held.data_location == onnx.TensorProto.EXTERNAL:
                del held.external_data[:]
                size = weights[held.name].nbytes
                facts = {"location": self.path.name, "offset": self.places[held.name], "length": size}
                for key, value in facts.items():
                    held.external_data.add(key=key, value=str(value))


def write_weights(weights: Mapping[str, torch.Tensor], folder: Path) -> WeightFile:
    """The file of these weights in `folder`, named by its contents: written unless it is there. weights: contiguous, on
    the CPU.

    A file is whole or not there at all, even after a loss of power. Raises OSError where the folder cannot be written.
    """
    places, digest, end = dict[str, int](), hashlib.sha256(), 0
    for name in sorted(weights):
        places[name] = end
        digest.update(_bytes(weights[name]).data)
        digest.update(f"{name} {end}\n".encode())
        end += -(-weights[name].nbytes // _PAGE_BYTES) * _PAGE_BYTES
    found = WeightFile(folder / f"{digest.hexdigest()}.weights", places)
    if not (found.is_there and found.path.stat().st_size == end and _holds(found, weights)):
        _write(found, weights, end)
    return found


def _holds(found: WeightFile, weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether what is there is whole: a disk may have lost pages of it since."""
    held = np.memmap(found.path, np.uint8, "r")
    return all(
        np.array_equal(held[place : place + weights[name].nbytes], _bytes(weights[name]))
        for name, place in found.places.items()
    )


def _write(made: WeightFile, weights: Mapping[str, torch.Tensor], size: int) -> None:
    descriptor, fresh = tempfile.mkstemp(dir=made.path.parent, prefix="making-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.truncate(size)
            for name, place in made.places.items():
                file.seek(place)
                file.write(_bytes(weights[name]).data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, made.path)
    except BaseException:
        os.unlink(fresh)
        raise


def _bytes(weight: torch.Tensor) -> npt.NDArray[np.uint8]:
    return weight.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
