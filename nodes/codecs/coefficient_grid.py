"""The linear part of a transform codec: values to coefficients in steps, and back.

In floats: nothing here needs to come out equal on both sides.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch

from nodes.codecs.transform_table import TransformTable

__all__ = ["CoefficientGrid", "cosine_basis", "frequencies"]


class CoefficientGrid:
    """Rotation of the channels, DCT over the positions, division by the steps: of one table, made once."""

    def __init__(self, table: TransformTable) -> None:
        height, width = table.steps.shape
        self.shape = (table.synthesis.shape[1], height, width)
        self._last, self._cosine = table.channels_last, table.cosine
        self._mean = torch.from_numpy(table.mean)[:, None]
        self._synthesis = torch.from_numpy(table.synthesis)
        analysis = np.linalg.pinv(table.synthesis.astype(np.float64)).astype(np.float32)
        self._analysis = torch.from_numpy(analysis)
        self._steps = torch.from_numpy(table.steps)

    def coefficients(self, values: torch.Tensor) -> torch.Tensor:
        """float32 (items, K, H, W) of float32 items of the table's shape."""
        channels = values.transpose(1, 2) if self._last else values.flatten(2)
        components = (self._analysis @ (channels - self._mean)).reshape(-1, *self.shape)
        return (frequencies(components) if self._cosine else components).div_(self._steps)

    def values(self, coefficients: torch.Tensor) -> torch.Tensor:
        """The way back: float32 items of the table's shape."""
        components = coefficients * self._steps
        if self._cosine:
            components = cosine_basis(self.shape[1]).T @ components @ cosine_basis(self.shape[2])
        channels = self._synthesis @ components.flatten(2) + self._mean
        if self._last:
            return channels.transpose(1, 2)
        return channels.reshape(len(channels), len(self._mean), *self.shape[1:])


def frequencies(positions: torch.Tensor) -> torch.Tensor:
    """The two-dimensional DCT over the last two axes."""
    return cosine_basis(positions.shape[-2]) @ positions @ cosine_basis(positions.shape[-1]).T


@functools.lru_cache(maxsize=32)  # not of every size that tables ever named
def cosine_basis(size: int) -> torch.Tensor:
    """The orthonormal DCT-II of `size` points as a matrix: row k holds the cosine of frequency k."""
    frequency, point = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)
    basis = torch.cos(math.pi * (point + 0.5) * frequency / size) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis.to(torch.float32)
