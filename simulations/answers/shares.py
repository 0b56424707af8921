"""The share of requests of which something is true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulations.answers.interval import CONFIDENCE, Estimate, estimate, mean
from simulations.answers.slo import Chosen

__all__ = ["share", "unanimous"]


def share(runs: Sequence[Chosen], confidence: float = CONFIDENCE) -> Estimate | None:
    """Of each run's requests, in the order of arrival; None without any. Where all or none are so, in every run: see
    `unanimous`."""
    found = estimate([run.astype(np.float64) for run in runs], mean, confidence)
    if found is None or 0.0 < found.value < 1.0:
        return None if found is None else found.within(0.0, 1.0)
    return unanimous(found.value, sum(run.size for run in runs), confidence)


def unanimous(value: float, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """Of n requests of which all (1) or none (0) are so: there is no spread to make an interval of; it is then that of
    a binomial share, exact (Clopper and Pearson, Biometrika 26, 1934), as if requests were independent."""
    unseen = 1.0 - ((1.0 - confidence) / 2.0) ** (1.0 / n)
    low, high = (1.0 - unseen, 1.0) if value == 1.0 else (0.0, unseen)
    return Estimate(value, low, high, n, "exact")
