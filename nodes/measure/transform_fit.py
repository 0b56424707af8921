"""Learns the table of a transform codec from calibration activations, without gradient descent.

In the metric G = E[g g^T] of the gradients g of what matters (`nodes.measure.sensitivity`), a change d of an activation
changes the answer by d^T G d on average. Rotating G^(1/2) x to its principal axes makes coefficients that are
uncorrelated and weigh the same, so that one step for all is the best allocation of bits (reverse water-filling, Berger
1971). Frequencies get steps of their own, by the gradients' energy there.

On efficientnet-lite0 after a third of its compute, at equal predicted agreement: plain KLT with one step 8.5 kB, in
the metric 8.1 kB, and with steps by frequency 7.9 kB; rotations of their own for bands of frequencies gain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import InvalidInput
from nodes.codecs.coefficient_grid import CoefficientGrid, frequencies
from nodes.codecs.transform_table import CoderClass, TransformTable, channel_grid, quantised_columns
from nodes.measure.coder_fit import fitted_coder

__all__ = ["TransformFit", "fit_transform"]

_RIDGE = 0.02  # of the mean sensitivity, given to every direction: what calibration did not show may matter too
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TransformFit:
    """A learned transform; `table` quantises it to any step.

    unit: its table for a step of 1, without probabilities. grid: that table's. coefficients: the calibration items',
    float32 (items, K, H, W). dtype: the items' own.
    """

    unit: TransformTable
    grid: CoefficientGrid
    coefficients: torch.Tensor
    dtype: torch.dtype

    def table(self, step: float) -> TransformTable:
        """The table for a quantiser of that step, in units of the answer's change: rounding one coefficient by `step`
        changes it by about that much. Raises InvalidInput for a step that is not above zero.
        """
        if not (np.isfinite(step) and step > 0):
            raise InvalidInput("step", "must be above zero", value=step)
        scaled = self.coefficients / step
        kept = _kept_components(scaled)
        stepped = replace(self.unit, synthesis=self.unit.synthesis[:, :kept], steps=self.unit.steps * np.float32(step))
        return fitted_coder(stepped, scaled[:, :kept].numpy())

    def rounded(self, step: float) -> torch.Tensor:
        """The calibration items as they come back from a codec of that step, without coding them: in the tensor's
        shape and dtype. Rounded levels are drawn towards zero by what they lie above on average, here by component.
        """
        scaled = self.coefficients / step
        levels = scaled.round()
        some = levels != 0
        above = ((levels.abs() - scaled.abs()) * some).sum((0, 2, 3)) / some.sum((0, 2, 3)).clamp_min(1)
        return self.grid.values((levels - levels.sign() * above.clamp(0, 1)[:, None, None]) * step).to(self.dtype)


def _kept_components(scaled: torch.Tensor) -> int:
    """Components but for the last ones that always round to zero."""
    seen = (scaled.abs() >= 0.5).flatten(2).any(2).any(0)
    return int(seen.nonzero().max()) + 1 if bool(seen.any()) else 1


def fit_transform(activations: torch.Tensor, gradients: torch.Tensor) -> TransformFit:
    """Learn from activations (items, C, H, W) or (items, T, C), and gradients of the answer at such, as many as wanted.

    Raises InvalidInput where the shape is none of these or there are no items.
    """
    grid = channel_grid(tuple(activations.shape[1:]))
    if grid is None or len(activations) == 0 or gradients.shape[1:] != activations.shape[1:]:
        raise InvalidInput("activations", "must be items of C x H x W or T x C", value=tuple(activations.shape))
    last, _, height, width = grid
    cosine = not last and height * width > 1
    rows, slopes = _channel_rows(activations, last), _channel_rows(gradients, last)
    mean = rows.mean(0)
    synthesis = _synthesis(rows - mean, slopes)
    positions = gradients.transpose(1, 2)[..., None] if last else gradients
    components = torch.einsum("ck,nchw->nkhw", torch.from_numpy(synthesis), positions.float())
    steps = _steps(frequencies(components) if cosine else components)
    scales = np.zeros(synthesis.shape[1], np.int64), np.zeros((height, width), np.int64)
    nothing = (CoderClass(0, 0, np.ones(2, np.uint16)),)
    unit = TransformTable(last, cosine, mean.astype(np.float32), synthesis, steps, *scales, 0, 0, nothing)
    linear = CoefficientGrid(unit)
    return TransformFit(unit, linear, linear.coefficients(activations.float()), activations.dtype)


def _channel_rows(values: torch.Tensor, channels_last: bool) -> Doubles:
    """float64 (items * positions, C)."""
    rows = values if channels_last else values.permute(0, 2, 3, 1)
    return rows.reshape(-1, rows.shape[-1]).double().numpy()


def _synthesis(centred: Doubles, slopes: Doubles) -> Floats:
    """(C, C): G^(-1/2) times the principal axes of G^(1/2) x, strongest first."""
    covariance, metric = centred.T @ centred / len(centred), slopes.T @ slopes / len(slopes)
    ridge = _RIDGE * np.trace(metric) / len(metric)
    values, vectors = np.linalg.eigh(metric + (ridge if ridge > 0 else 1.0) * np.eye(len(metric)))
    root, inverse = ((vectors * values**power) @ vectors.T for power in (0.5, -0.5))
    _, axes = np.linalg.eigh(root @ covariance @ root)
    return quantised_columns((inverse @ axes[:, ::-1]).astype(np.float32))


def _steps(slopes: torch.Tensor) -> Floats:
    """(H, W), geometric mean 1: finer where the gradients (items, K, H, W) have more energy."""
    energy = slopes.square().mean((0, 1)).double().numpy()
    energy = np.maximum(energy, _RIDGE * energy.mean()) if energy.any() else np.ones_like(energy)
    steps: Floats = np.exp(0.5 * (np.log(energy).mean() - np.log(energy))).astype(np.float32)
    return steps
