"""The cloud node: prepares the plans that edges offer and computes their suffixes, off the event loop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from isthmus.errors import InvalidPlan, InvalidRequest, Overloaded, PlanAway, UnknownPlan
from isthmus.telemetry import get_logger
from nodes.background import run_apart
from nodes.batch_queue import BatchQueue, QueuedWork
from nodes.batch_times import BatchTimes
from nodes.batching import DEFAULT_LIMITS, BatchLimits
from nodes.cloud_connection import ReplicaDescription
from nodes.cloud_models import CloudModels, HeldModel
from nodes.codec_rating import CodecRating
from nodes.codecs.base import EncodedTensor, encoded_bytes
from nodes.codecs.factory import encodes_images
from nodes.compute_pool import ComputePool
from nodes.engine_queue import BatchCounts
from nodes.engines.eager import EagerEngine
from nodes.execution_ledger import ExecutionLedger
from nodes.halves import CloudHalf, CloudOutcome, EdgeHalf
from nodes.limits import CLOUD_LIMITS, NodeLimits
from nodes.measure.batch_times import BatchMeasurement, boundary_sample, measure_batches
from nodes.measure.timing import measure
from nodes.metrics.histogram import SECONDS_BOUNDS, Histogram, HistogramCount
from nodes.preparing import PreparingWork
from nodes.protocol.events import CloudTimings, MeasuredBatch, PlanDefinition, PlanTimes, RequestArrived
from nodes.sample_inputs import sample_inputs
from nodes.suffix_batch import SuffixWork, run_suffixes, suffix_group
from nodes.transport.segment_server import Load, SuffixResult
from nodes.wanted_replicas import WantedReplicas
from partitioner.model import Model
from partitioner.plan import wire_digest
from partitioner.profiles import DeviceProfile

__all__ = ["CloudNode"]

MEASURED_BATCHES = (1, 2)
MEASURE_BUDGET_S = 0.15
MAX_PLANS, MOST_REMEMBERED = 256, 4096


class _Measured(NamedTuple):
    """Of a plan. answer_bytes: encoded, of one item."""

    batches: tuple[MeasuredBatch, ...]
    answer_bytes: int


@dataclass(frozen=True, slots=True)
class _ReadyPlan:
    """max_batch: of one request. suffix: t(B) of the suffix alone. whole: with as many decodings and encodings.
    reported: to the edge. answer_bytes: encoded, of one item."""

    half: CloudHalf
    max_batch: int
    suffix: BatchTimes
    whole: BatchTimes
    reported: PlanTimes
    answer_bytes: int


class _Accepted(NamedTuple):
    request: RequestArrived
    suffix: SuffixWork


class CloudNode:
    """One replica's work. Serves several models; every plan that an edge offers is checked, split, warmed and timed."""

    def __init__(
        self, replica_id: str, models: CloudModels, pool: ComputePool, profile: DeviceProfile,
        batching: BatchLimits = DEFAULT_LIMITS, limits: NodeLimits = CLOUD_LIMITS,
    ) -> None:  # fmt: skip
        self._replica_id = replica_id
        self.models = models
        models.evicted = self._forget_model
        self._pool = pool
        self._profile = profile
        self._told: tuple[DeviceProfile, str] | None = None  # of it, as JSON
        self._batching = batching
        self._limits = limits
        self._queue: BatchQueue[_Accepted, SuffixResult] = BatchQueue(pool, batching, _compute)
        self._preparing = PreparingWork(pool)
        self._rating = CodecRating(pool, lambda: not self._queue.requests)
        self._plans: dict[str, _ReadyPlan] = {}
        self._suffixes: dict[tuple[str, str], BatchMeasurement] = {}  # by model and cut: whatever the codecs
        self._times: dict[str, _Measured] = {}  # by wire digest, also of plans whose model has gone
        self._away: dict[str, None] = {}  # plans whose model has made room for another
        self._offered_s = 0.0
        self.wanted: WantedReplicas | None = None  # as whoever hosts it says, where their number is not fixed
        self._stages = {stage: Histogram(SECONDS_BOUNDS) for stage in ("queue", "decode", "suffix", "encode")}
        self._log = get_logger("cloud").bind(replica=replica_id)

    def describe(self) -> ReplicaDescription:
        """See SegmentNode."""
        counts = self.ledger.counts.to_dict()
        return ReplicaDescription(self._replica_id, self.models.versions, self._profile_json(), counts)

    def _profile_json(self) -> str:
        """Made once: hundreds of edges ask for it when a replica comes, and it takes milliseconds."""
        if self._told is None or self._told[0] is not self._profile:
            profile = replace(self._profile, power=None)  # what a cloud draws, no edge plans by
            self._told = self._profile, profile.to_json()
        return self._told[1]

    async def rate_codecs(self) -> None:
        """See SegmentNode. While requests wait none is timed."""

        def keep(profile: DeviceProfile) -> None:
            self._profile = profile

        await self._rating.completed(lambda: self._profile, keep)

    def load(self) -> Load:
        """See SegmentNode."""
        return Load(self._queue.requests, self.queued_s + self._preparing.wait_s(time.monotonic()))

    def check(self) -> None:
        """Raises Unavailable where the compute thread hangs: requests would wait for it without end."""
        now_s = time.monotonic()
        self._queue.check(now_s)
        self._pool.check(now_s)

    @property
    def queued_s(self) -> float:
        """Seconds of work that requests have brought and that is not done."""
        return self._queue.wait_s()

    @property
    def waiting_s(self) -> float:
        """Of `queued_s`, what waits."""
        return self._queue.waiting_s()

    @property
    def offered_s(self) -> float:
        """Seconds of work, at the pace of the best batch, that requests have brought so far; also those refused."""
        return self._offered_s

    @property
    def ledger(self) -> ExecutionLedger:
        """What became of the requests."""
        return self._queue.ledger

    @property
    def batch_counts(self) -> BatchCounts:
        """The batches that have run."""
        return self._queue.counts

    def stage_counts(self) -> Mapping[str, HistogramCount]:
        """How long the stages of answered requests took: queue, decode, suffix, encode."""
        return {stage: times.count() for stage, times in self._stages.items()}

    def check_offer(self, offer: PlanDefinition) -> None:
        """See SegmentNode."""
        self.models.check_served(offer.model_digest)
        _check_digest(offer)

    async def prepare(self, offer: PlanDefinition) -> PlanTimes:
        """See SegmentNode. A plan that is ready already answers at once. Its model is loaded where it is not there."""
        ready = self._plans.get(offer.wire_digest)
        if ready is not None and not self.models.leaves(offer.model_digest):
            return ready.reported
        self.check_offer(offer)  # before it waits for room
        async with self.models.using(offer.model_digest) as held:
            return await self._prepare(held, offer)

    async def _prepare(self, held: HeldModel, offer: PlanDefinition) -> PlanTimes:
        model, engine = held.model, held.engine
        await run_apart(engine.prepare, (model.split(offer.edge_ops).cloud,))
        make = partial(CloudHalf, model, offer.edge_ops, offer.uplink, offer.downlink, engine, self._limits)
        half = await self._preparing.run(("load", model.digest), make)
        # What was measured before takes next to nothing: what the others take is not to be told by it.
        kind = "measure", model.digest, offer.wire_digest in self._times
        measured = await self._preparing.run(kind, partial(self._measure, held, offer, half))
        times = measured.batches
        kind = "batch", model.digest, (half.model_digest, half.cut) in self._suffixes
        batches = await self._preparing.run(kind, partial(self._measure_batches, model, offer, half))
        while len(self._plans) >= MAX_PLANS:
            self.forget(next(iter(self._plans)))
        self._away.pop(offer.wire_digest, None)
        whole, most = _whole(batches.times, times[0]), model.interface.max_batch
        reported = PlanTimes(times, batches.times.seconds)
        self._plans[offer.wire_digest] = _ReadyPlan(half, most, batches.times, whole, reported, measured.answer_bytes)
        self._log.info(
            "plan ready", wire_digest=offer.wire_digest, suffix_ms=round(times[0].suffix_s * 1e3, 2),
            largest_batch=batches.times.largest, batch_gain=round(batches.gain, 2), batch_difference=batches.difference,
        )  # fmt: skip
        return reported

    def forget(self, wire_digest: str) -> None:
        """Let a plan go: requests that come for it yet are told so, and their edges offer it again."""
        self._plans.pop(wire_digest, None)

    def _forget_model(self, digest: str) -> None:
        """Its plans go with it. What they take stays known: offered again, they are not measured again."""
        gone = [key for key, plan in self._plans.items() if plan.half.model_digest == digest]
        self._away.update(dict.fromkeys(gone))
        _keep_newest(self._away)
        for key in gone:
            self.forget(key)

    def _measure(self, held: HeldModel, offer: PlanDefinition, half: CloudHalf) -> _Measured:
        """Of a plan that was here before: it only runs once, so that its next request is no slower than others."""
        model = held.model
        # Only makes what would arrive: not worth compiling anything for.
        edge = EdgeHalf(model, offer.edge_ops, offer.uplink, offer.downlink, EagerEngine(threads=held.engine.threads))
        files = [wire.tensor for wire in offer.uplink if encodes_images(wire.codec)]
        known = self._times.pop(offer.wire_digest, None)
        batches = MEASURED_BATCHES if known is None else MEASURED_BATCHES[:1]
        encoded = {batch: edge.run(sample_inputs(model, batch, files)).encoded for batch in batches}
        one = half.run(encoded[MEASURED_BATCHES[0]], MEASURED_BATCHES[0])
        if known is None:
            times = tuple(_measure_batch(half, encoded[batch], batch) for batch in batches)
            known = _Measured(times, encoded_bytes(one.encoded))
        self._times[offer.wire_digest] = known
        _keep_newest(self._times)
        return known

    def _measure_batches(self, model: Model, offer: PlanDefinition, half: CloudHalf) -> BatchMeasurement:
        key = (half.model_digest, half.cut)
        found = self._suffixes.pop(key, None)
        if found is None:
            most = 1 if half.axes is None else min(self._batching.max_batch, model.interface.max_batch)
            sample = boundary_sample(model, offer.edge_ops, most)
            found = measure_batches(half.suffix, half.axes, sample, most)
        self._suffixes[key] = found
        _keep_newest(self._suffixes)
        return found

    async def run(self, request: RequestArrived) -> SuffixResult:
        """See SegmentNode."""
        plan = self._plans.get(request.wire_digest)
        if plan is None or self.models.leaves(plan.half.model_digest):
            raise _unknown(request.wire_digest, away=plan is not None or request.wire_digest in self._away)
        if not 1 <= request.batch <= plan.max_batch:  # one that lies would harm all that wait
            raise InvalidRequest("batch", f"must be 1 to {plan.max_batch}", value=request.batch, remedy="split it")
        with self.models.in_use(plan.half.model_digest):
            return await self._run(request, plan)

    async def _run(self, request: RequestArrived, plan: _ReadyPlan) -> SuffixResult:
        self._plans[request.wire_digest] = self._plans.pop(request.wire_digest)  # the last used goes last
        self._offered_s += plan.whole.least_s(request.batch)
        queued = QueuedWork(
            work=_Accepted(request, SuffixWork(plan.half, request.tensors, request.batch, plan.suffix)),
            group=suffix_group(plan.half, request.tensors),
            items=request.batch,
            times=plan.whole,
            arrived_s=request.arrived_s,
            deadline_s=request.deadline_s,
            priority=request.priority,
            rest_s=request.back_s(plan.answer_bytes * request.batch),
        )
        try:
            self._limits.check_queue(self._queue.requests, self._queue.wait_s)
        except Overloaded as full:
            if not self._queue.displace(queued, full):
                raise
        result = await self._queue.run(queued)
        for stage, times in self._stages.items():
            times.observe(getattr(result.timings, f"{stage}_s"))
        return result


def _keep_newest(known: dict[Any, Any]) -> None:
    """What is remembered of plans comes from edges without end, and must not grow so."""
    while len(known) > MOST_REMEMBERED:
        del known[next(iter(known))]


def _unknown(digest: str, *, away: bool) -> UnknownPlan:
    """away: it was here, and its model has made room for another."""
    if away:
        return PlanAway(f"wire digest {digest!r}: its model has made room for another; offer it again")
    return UnknownPlan(f"wire digest {digest!r} is not prepared on this replica")


def _check_digest(offer: PlanDefinition) -> None:
    """Raises InvalidPlan for an offer whose parts are not what its digest says."""
    expected = wire_digest(offer.model_digest, offer.edge_ops, offer.uplink, offer.downlink)
    if expected != offer.wire_digest:
        raise InvalidPlan(
            "wire_digest", f"does not match the plan, {expected} does", value=offer.wire_digest, remedy="re-plan"
        )


def _compute(batch: Sequence[_Accepted]) -> list[SuffixResult | Exception]:
    """All of a batch, on the worker. What a request did not need for itself was its wait, companions included."""
    outcomes = run_suffixes([accepted.suffix for accepted in batch])
    ended_s = time.monotonic()
    return [
        outcome if isinstance(outcome, Exception) else SuffixResult(outcome.encoded, _timings(one, outcome, ended_s))
        for one, outcome in zip((accepted.request for accepted in batch), outcomes, strict=True)
    ]


def _timings(request: RequestArrived, outcome: CloudOutcome, ended_s: float) -> CloudTimings:
    own_s = outcome.decode_s + outcome.suffix_s + outcome.encode_s
    return CloudTimings(
        receive=request.receive,
        queue_s=max(0.0, ended_s - request.arrived_s - own_s),
        decode_s=outcome.decode_s,
        suffix_s=outcome.suffix_s,
        encode_s=outcome.encode_s,
    )


def _whole(suffix: BatchTimes, single: MeasuredBatch) -> BatchTimes:
    """t(B) of requests of one item: decoded and encoded one after the other, computed together."""
    return suffix.plus_each(single.decode_s + single.encode_s)


def _measure_batch(half: CloudHalf, encoded: Sequence[EncodedTensor], batch: int) -> MeasuredBatch:
    """Repeats the whole half; its low quantile is divided among the stages as their sums were."""
    if batch > 1:  # one item has just run
        half.run(encoded, batch)
    runs: list[CloudOutcome] = []
    whole = measure(lambda: runs.append(half.run(encoded, batch)), budget_s=MEASURE_BUDGET_S, min_repeats=3, warm_ups=0)
    sums = [math.fsum(getattr(run, stage) for run in runs) for stage in ("suffix_s", "decode_s", "encode_s")]
    suffix_s, decode_s, encode_s = (whole.seconds * part / math.fsum(sums) for part in sums)
    return MeasuredBatch(batch, suffix_s, decode_s, encode_s, whole.spread_s)
