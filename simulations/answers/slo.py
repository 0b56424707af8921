"""What is promised, and which requests kept it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InvalidQuantity
from partitioner.plain_json import STRICT
from simulations.run_record import Requests, RunRecord

__all__ = ["Slo", "answered", "kept", "let_in"]

Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Slo:
    """So large a share of all requests is answered within so long. Raises InvalidQuantity."""

    __pydantic_config__ = STRICT
    within_s: float
    share: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise InvalidQuantity("slo.share", "must be above 0, at most 1", value=self.share, remedy="write 0.99")
        if not self.within_s > 0.0:
            raise InvalidQuantity("slo.within", "must be above zero", value=self.within_s, remedy="write 300ms")


def answered(run: RunRecord, requests: Requests) -> Chosen:
    """Which of the run's requests got an answer, from the cloud or the edge."""
    return np.isin(requests.outcome, [run.id_of("answered"), run.id_of("resumed")])


def let_in(run: RunRecord, requests: Requests) -> Chosen:
    """Which were not refused."""
    return np.asarray(requests.outcome != run.id_of("refused"))


def kept(run: RunRecord, requests: Requests, slo: Slo | None) -> Chosen:
    """Which were answered within what is promised; without a promise, within their own time where they have one."""
    within_s = requests.timeout_s if slo is None else slo.within_s
    return np.asarray(answered(run, requests) & (requests.took_s <= within_s))
