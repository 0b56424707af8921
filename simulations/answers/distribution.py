"""The distribution of times, fine in its tail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.plain_json import STRICT
from simulations.answers.groups import GroupKind, groups_of, members
from simulations.answers.slo import answered
from simulations.run_record import RunRecord

__all__ = ["Distribution", "distributions"]

_STEPS_A_NINE = 60


@dataclass(frozen=True, slots=True)
class Distribution:
    """`shares[i]` of all requests were answered within `times_s[i]`. It ends where nothing more was answered, and where
    fewer than ten requests are beyond."""

    __pydantic_config__ = STRICT
    kind: GroupKind
    name: str
    shares: tuple[float, ...]
    times_s: tuple[float, ...]


def distributions(runs: Sequence[RunRecord]) -> Iterator[Distribution]:
    """Of every group, all runs taken together."""
    for kind, name in groups_of(runs):
        took_s = []
        for run in runs:
            requests = members(run, run.counted(), kind, name)
            took_s.append(np.where(answered(run, requests), requests.took_s, np.inf))
        yield _distribution(kind, name, np.sort(np.concatenate(took_s)))


def _distribution(
    kind: GroupKind, name: str, sorted_s: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> Distribution:
    n = sorted_s.size
    # Even steps of the share that is slower, on a logarithm: as many points from 90 % to 99 % as from 0 to 90 %.
    slower = 10.0 ** -(np.arange(0, 6 * _STEPS_A_NINE) / _STEPS_A_NINE)
    ranks = np.unique(np.ceil(n * (1.0 - slower[n * slower >= 10.0])).astype(np.int64))
    ranks = ranks[ranks >= 1]
    times_s = sorted_s[ranks - 1]
    ranks, times_s = ranks[np.isfinite(times_s)], times_s[np.isfinite(times_s)]
    return Distribution(kind, name, tuple((ranks / n).tolist()), tuple(times_s.tolist()))
