"""How the time of a whole model grows with the batch: a line through what was measured, and how far it is from it."""

from __future__ import annotations

from dataclasses import dataclass

from partitioner.affine_fit import affine_residual, affine_time
from partitioner.measurements import AffineTime
from partitioner.profiles import DeviceProfile

__all__ = ["BatchLaw", "batch_law"]


@dataclass(frozen=True, slots=True)
class BatchLaw:
    """seconds: measured, by batch. line: fixed + per item. residual: the largest relative distance from it."""

    seconds: dict[int, float]
    line: AffineTime
    residual: float

    def gain(self, batch: int) -> float:
        """Time of `batch` single requests over that of one batch: above 1 where batching pays."""
        return batch * self.seconds[min(self.seconds)] / min(self.seconds) / self.seconds[batch]


def batch_law(profile: DeviceProfile, model_digest: str, op_count: int) -> BatchLaw | None:
    """The law of the model on the profile's engine; None where less than two batches were measured."""
    seconds = profile.whole_seconds(model_digest, op_count)
    if len(seconds) < 2:
        return None
    by_size = {float(batch): took for batch, took in sorted(seconds.items())}
    line = affine_time(by_size)
    return BatchLaw(dict(sorted(seconds.items())), line, affine_residual(by_size, line))
