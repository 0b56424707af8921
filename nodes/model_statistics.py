"""What a gateway's requests came to, by model: counts and durations since it started, in the terms of Triton's.

Every request is accounted for before its answer leaves, and few ask for the account: a request adds to a few sums
(4 us where making the account anew took 25), and the account is made of them when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["BatchStatistics", "Duration", "ModelStatistics", "RequestPhases", "StatisticsLedger"]


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something happened, and how long it took in all, in nanoseconds."""

    count: int = 0
    ns: int = 0

    def plus(self, other: Duration) -> Duration:
        """Both."""
        return Duration(self.count + other.count, self.ns + other.ns)


class RequestPhases(NamedTuple):
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

    def plus(self, other: BatchStatistics) -> BatchStatistics:
        """Both."""
        return BatchStatistics(
            self.compute_input.plus(other.compute_input),
            self.compute_infer.plus(other.compute_infer),
            self.compute_output.plus(other.compute_output),
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


@dataclass(slots=True)
class _Answered:
    """The answers of one batch size: how many, and the sums of their phases."""

    count: int = 0
    queue_s: float = 0.0
    input_s: float = 0.0
    infer_s: float = 0.0
    output_s: float = 0.0
    elapsed_s: float = 0.0

    def add(self, phases: RequestPhases) -> None:
        """One more. A clock that goes back takes nothing away."""
        self.count += 1
        self.queue_s += max(0.0, phases.queue_s)
        self.input_s += max(0.0, phases.input_s)
        self.infer_s += max(0.0, phases.infer_s)
        self.output_s += max(0.0, phases.output_s)
        self.elapsed_s += max(0.0, phases.elapsed_s)

    def duration(self, seconds: float) -> Duration:
        """One of the sums."""
        return Duration(self.count, round(seconds * 1e9))

    def statistics(self) -> BatchStatistics:
        """As it is told."""
        return BatchStatistics(*map(self.duration, (self.input_s, self.infer_s, self.output_s)))


@dataclass(slots=True)
class _Account:
    """One model's, while it goes on."""

    last_inference_ms: int = 0
    failed: int = 0
    failed_s: float = 0.0
    answered: dict[int, _Answered] = field(default_factory=dict)

    def statistics(self) -> ModelStatistics:
        """As it is told."""
        success, queue, every_batch = Duration(), Duration(), BatchStatistics()
        batches = {size: sums.statistics() for size, sums in self.answered.items()}
        for size, sums in self.answered.items():
            success, queue = success.plus(sums.duration(sums.elapsed_s)), queue.plus(sums.duration(sums.queue_s))
            every_batch = every_batch.plus(batches[size])
        return ModelStatistics(
            last_inference_ms=self.last_inference_ms,
            inference_count=sum(size * sums.count for size, sums in self.answered.items()),
            success=success,
            fail=Duration(self.failed, round(self.failed_s * 1e9)),
            queue=queue,
            every_batch=every_batch,
            batches=batches,
        )


class StatisticsLedger:
    """The statistics of every model that was asked for, cumulative: unloading a model does not end its account."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def of(self, model: str) -> ModelStatistics:
        """A model's, all zero before its first request."""
        return self._accounts.get(model, _Account()).statistics()

    @property
    def answered_count(self) -> int:
        """Answers, of all models."""
        return sum(sums.count for account in self._accounts.values() for sums in account.answered.values())

    def answered(self, model: str, batch: int, phases: RequestPhases, now_ms: int) -> None:
        """Account for an answer of `batch` items."""
        account = self._account(model)
        account.last_inference_ms = now_ms
        sums = account.answered.get(batch)
        if sums is None:
            sums = account.answered[batch] = _Answered()
        sums.add(phases)

    def failed(self, model: str, elapsed_s: float, now_ms: int) -> None:
        """Account for an error."""
        account = self._account(model)
        account.last_inference_ms = now_ms
        account.failed += 1
        account.failed_s += max(0.0, elapsed_s)

    def _account(self, model: str) -> _Account:
        account = self._accounts.get(model)
        if account is None:
            account = self._accounts[model] = _Account()
        return account
