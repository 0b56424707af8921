"""Reading answers for people: the best classes of a classifier's output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_classes"]


def best_classes(values: NDArray[np.generic], labels: tuple[str, ...] = (), count: int = 3) -> list[str]:
    """For the first item of class scores (items, classes): the best `count`, with their softmax share.

    Nothing for an output that is not two-dimensional. labels: class names, numbers where there are none.
    """
    if values.ndim != 2 or not values.size:
        return []
    scores = np.asarray(values[0], dtype=np.float64)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    best = np.argsort(-scores)[:count]
    return [f"{labels[i] if i < len(labels) else i} {100 * shares[i]:.1f} %" for i in best]
