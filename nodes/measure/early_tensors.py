"""Which boundary tensors of a cut are there long enough before the prefix ends to be sent at once, as measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from nodes.codecs.base import EncodedTensor
from nodes.halves import EdgeHalf
from nodes.inputs import ModelInputs

__all__ = ["LEAST_LEAD_S", "MOST_TENSORS", "early_counts", "measure_leads"]

# Less than this is not worth the frame, the wake-up and the stage that it takes.
LEAST_LEAD_S = 0.002
MOST_TENSORS = 8
"""Cuts with more boundary tensors are not looked at: each stage has to be made to be measured."""
_REPEATS = 5


def measure_leads(half: EdgeHalf, inputs: ModelInputs) -> tuple[float, ...]:
    """How long each boundary tensor but the last is encoded before the prefix ends, in seconds; `half` offers all."""
    runs: list[list[float]] = []
    for _ in range(_REPEATS + 1):
        offered: list[float] = []

        def offer(tensor: EncodedTensor, offered: list[float] = offered) -> None:
            if tensor.continues:
                del offered[-1:]  # with its last piece it is there
            offered.append(time.perf_counter())

        half.run(inputs, offer)
        ended_s = time.perf_counter()
        runs.append([ended_s - moment_s for moment_s in offered[: half.crossing - 1]])
    return tuple(median(leads) for leads in zip(*runs[1:], strict=True))  # the first run warms up


def early_counts(leads_s: Sequence[float]) -> tuple[int, ...]:
    """After how many boundary tensors a stage is to end: each so much before the next one that it is worth it."""
    counts: list[int] = []
    next_s = 0.0
    for count in range(len(leads_s), 0, -1):
        if leads_s[count - 1] - next_s >= LEAST_LEAD_S:
            counts.append(count)
            next_s = leads_s[count - 1]
    return tuple(reversed(counts))
