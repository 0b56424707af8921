"""What a request costs besides the stages of its plan: the client's hop, messages made and read, hand-overs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from partitioner.affine_fit import affine_time
from partitioner.measurements import AffineTime

__all__ = ["NOT_MEASURED", "OverheadSample", "RequestOverhead", "fit_overhead"]

# Requests that differ by less than this take the same time within the noise of a scheduler's tick: no slope shows.
_LEAST_RANGE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class OverheadSample:
    """One real request: the bytes of its inputs, and its client's time less the stages that the node accounts for."""

    size_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RequestOverhead:
    """Affine in the bytes of a request's inputs. requests: how many it was learned from. measured_at: ISO 8601, UTC;
    "" where nothing was measured."""

    fixed_s: float
    s_per_byte: float
    requests: int
    measured_at: str

    def seconds(self, size_bytes: int) -> float:
        """What a request with so many bytes of inputs costs."""
        return self.fixed_s + self.s_per_byte * size_bytes

    def __str__(self) -> str:
        if not self.requests:
            return "not measured"
        law = f"{self.fixed_s * 1e3:.2f} ms + {self.s_per_byte * 1e9:.2f} ms/MB"
        return f"{law}, {self.requests} requests, {self.measured_at}"


NOT_MEASURED = RequestOverhead(0.0, 0.0, 0, "")


def fit_overhead(samples: Iterable[OverheadSample], measured_at: str) -> RequestOverhead:
    """The law of these requests. Of each size the median counts: a request to come is as disturbed as these were."""
    ordered = sorted(samples, key=lambda sample: sample.size_bytes)
    if not ordered:
        return NOT_MEASURED
    by_size = {
        size: max(0.0, median(sample.seconds for sample in group))
        for size, group in groupby(ordered, key=lambda sample: sample.size_bytes)
    }
    if max(by_size) - min(by_size) < _LEAST_RANGE_BYTES:
        line = AffineTime(max(0.0, median(sample.seconds for sample in ordered)), 0.0)
    else:
        line = affine_time(by_size)
    return RequestOverhead(line.fixed_s, line.per_item_s, len(ordered), measured_at)
