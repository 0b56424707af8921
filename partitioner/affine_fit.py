"""The line through times at several sizes."""

from __future__ import annotations

from collections.abc import Mapping

from partitioner.measurements import AffineTime

__all__ = ["affine_residual", "affine_time"]


def affine_time(seconds: Mapping[float, float]) -> AffineTime:
    """Least squares through seconds by size (batch, bytes, pixels), neither part below zero.

    Where noise would make a part negative it is zero and the other one is fitted alone. One size: all of it per item.
    Sizes are above zero; there is at least one.
    """
    count, sizes, times = len(seconds), seconds.keys(), seconds.values()
    mean_size, mean_time = sum(sizes) / count, sum(times) / count
    variance = sum((size - mean_size) ** 2 for size in sizes)
    through_zero = sum(s * t for s, t in seconds.items()) / sum(s * s for s in sizes)
    if variance == 0:
        return AffineTime(0.0, through_zero)
    slope = sum((s - mean_size) * (t - mean_time) for s, t in seconds.items()) / variance
    if slope < 0:
        return AffineTime(mean_time, 0.0)
    fixed = mean_time - slope * mean_size
    return AffineTime(fixed, slope) if fixed >= 0 else AffineTime(0.0, through_zero)


def affine_residual(seconds: Mapping[float, float], line: AffineTime) -> float:
    """How far `seconds` by size lie from `line`: the largest relative difference. 0 says that the time is affine."""
    return max(abs(line.fixed_s + line.per_item_s * size - took) / took for size, took in seconds.items())
