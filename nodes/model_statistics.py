"""What a gateway's requests came to, by model: counts and durations since it started, in the terms of Triton's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["BatchStatistics", "Duration", "ModelStatistics", "RequestPhases", "StatisticsLedger"]


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something happened, and how long it took in all, in nanoseconds."""

    count: int = 0
    ns: int = 0

    def plus(self, seconds: float) -> Duration:
        """Once more."""
        return Duration(self.count + 1, self.ns + max(0, round(seconds * 1e9)))


@dataclass(frozen=True, slots=True)
class RequestPhases:
    """Where one answered request's time went, in seconds. They are disjoint; what is missing to elapsed_s is choosing.

    queue_s: waiting on the edge and in the cloud. input_s: from message to checked tensors. infer_s: computing on both
    sides and crossing the link between them. output_s: from tensors to the message. elapsed_s: all of it.
    """

    queue_s: float
    input_s: float
    infer_s: float
    output_s: float
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """The executions of one batch size."""

    compute_input: Duration = Duration()
    compute_infer: Duration = Duration()
    compute_output: Duration = Duration()

    def answered(self, phases: RequestPhases) -> BatchStatistics:
        """With one more."""
        return BatchStatistics(
            self.compute_input.plus(phases.input_s),
            self.compute_infer.plus(phases.infer_s),
            self.compute_output.plus(phases.output_s),
        )


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """One model's. last_inference_ms: since the epoch, 0 for never. inference_count: items; execution_count: requests.

    fail: requests that ended in an error, those that their client took back included. batches: by batch size.
    """

    last_inference_ms: int = 0
    inference_count: int = 0
    success: Duration = Duration()
    fail: Duration = Duration()
    queue: Duration = Duration()
    every_batch: BatchStatistics = BatchStatistics()
    batches: Mapping[int, BatchStatistics] = field(default_factory=dict)

    @property
    def execution_count(self) -> int:
        """Answered requests: each is executed by itself, as far as its edge can tell."""
        return self.success.count

    def answered(self, batch: int, phases: RequestPhases, now_ms: int) -> ModelStatistics:
        """With one more answer, of `batch` items."""
        of_size = self.batches.get(batch, BatchStatistics())
        return replace(
            self,
            last_inference_ms=now_ms,
            inference_count=self.inference_count + batch,
            success=self.success.plus(phases.elapsed_s),
            queue=self.queue.plus(phases.queue_s),
            every_batch=self.every_batch.answered(phases),
            batches={**self.batches, batch: of_size.answered(phases)},
        )

    def failed(self, elapsed_s: float, now_ms: int) -> ModelStatistics:
        """With one more error."""
        return replace(self, last_inference_ms=now_ms, fail=self.fail.plus(elapsed_s))


class StatisticsLedger:
    """The statistics of every model that was asked for, cumulative: unloading a model does not end its account."""

    def __init__(self) -> None:
        self._models: dict[str, ModelStatistics] = {}

    def of(self, model: str) -> ModelStatistics:
        """A model's, all zero before its first request."""
        return self._models.get(model, ModelStatistics())

    def answered(self, model: str, batch: int, phases: RequestPhases, now_ms: int) -> None:
        """Account for an answer."""
        self._models[model] = self.of(model).answered(batch, phases, now_ms)

    def failed(self, model: str, elapsed_s: float, now_ms: int) -> None:
        """Account for an error."""
        self._models[model] = self.of(model).failed(elapsed_s, now_ms)
