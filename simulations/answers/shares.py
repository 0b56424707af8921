"""The share of requests of which something is true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulations.answers.interval import CONFIDENCE, Estimate, estimate, mean
from simulations.answers.slo import Chosen

__all__ = ["share"]


def share(runs: Sequence[Chosen], confidence: float = CONFIDENCE) -> Estimate | None:
    """Of each run's requests, in the order of arrival; None without any.

    Where all or none are so, in every run, there is no spread to make an interval of; it is then that of a binomial
    share, exact (Clopper and Pearson, Biometrika 26, 1934), as if requests were independent.
    """
    found = estimate([run.astype(np.float64) for run in runs], mean, confidence)
    if found is None or 0.0 < found.value < 1.0:
        return None if found is None else found.within(0.0, 1.0)
    n = sum(run.size for run in runs)
    unseen = 1.0 - ((1.0 - confidence) / 2.0) ** (1.0 / n)
    low, high = (1.0 - unseen, 1.0) if found.value == 1.0 else (0.0, unseen)
    return Estimate(found.value, low, high, n, "exact")
