"""The cloud node: prepares the plans that edges offer and computes their suffixes, off the event loop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from isthmus.errors import InvalidPlan, NotFound, Overloaded, UnknownPlan
from isthmus.telemetry import get_logger
from nodes.background import run_apart
from nodes.cloud_connection import ReplicaDescription
from nodes.codecs.base import EncodedTensor
from nodes.codecs.factory import IMAGE_CODEC_NAMES
from nodes.compute_pool import ComputePool
from nodes.engines.base import Engine
from nodes.engines.eager import EagerEngine
from nodes.execution_ledger import ExecutionLedger, Ticket
from nodes.halves import CloudHalf, CloudOutcome, EdgeHalf
from nodes.measure.timing import measure
from nodes.protocol.events import CloudTimings, MeasuredBatch, PlanDefinition, RequestArrived
from nodes.sample_inputs import sample_inputs
from nodes.transport.segment_server import Load, SuffixResult
from partitioner.model import Model
from partitioner.plan import wire_digest
from partitioner.profiles import DeviceProfile

__all__ = ["CloudNode"]

MEASURED_BATCHES = (1, 2)
MEASURE_BUDGET_S = 0.15
MAX_QUEUED = 256
MAX_PLANS = 256
QUEUE_SMOOTHING = 0.2


class CloudNode:
    """One replica's work. Serves several models; every plan that an edge offers is checked, split, warmed and timed."""

    def __init__(
        self, replica_id: str, models: Mapping[str, Model], engine: Engine, pool: ComputePool, profile: DeviceProfile
    ) -> None:
        self._replica_id = replica_id
        self._models = {model.digest: model for model in models.values()}
        self._names = {name: model.digest for name, model in models.items()}
        self._engine = engine
        self._pool = pool
        self._profile = profile
        self._halves: dict[str, CloudHalf] = {}
        self._times: dict[str, tuple[MeasuredBatch, ...]] = {}
        self._queued = 0
        self._service_s = 0.0
        self.ledger = ExecutionLedger()
        self._log = get_logger("cloud").bind(replica=replica_id)

    def describe(self) -> ReplicaDescription:
        """See SegmentNode."""
        counts = self.ledger.counts.to_dict()
        return ReplicaDescription(self._replica_id, dict(self._names), self._profile.to_json(), counts)

    def load(self) -> Load:
        """See SegmentNode."""
        return Load(self._queued, self._queued * self._service_s)

    async def prepare(self, offer: PlanDefinition) -> tuple[MeasuredBatch, ...]:
        """See SegmentNode. A plan that is ready already answers at once."""
        ready = self._times.get(offer.wire_digest)
        if ready is not None:
            return ready
        model = self._checked_model(offer)
        await run_apart(self._engine.prepare, (model.split(offer.edge_ops).cloud,))
        half = await self._pool.run(CloudHalf, model, offer.edge_ops, offer.uplink, offer.downlink, self._engine)
        times = await self._pool.run(self._measure, model, offer, half)
        while len(self._halves) >= MAX_PLANS:
            self.forget(next(iter(self._halves)))
        self._halves[offer.wire_digest] = half
        self._times[offer.wire_digest] = times
        self._log.info("plan ready", wire_digest=offer.wire_digest, suffix_ms=round(times[0].suffix_s * 1e3, 2))
        return times

    def forget(self, wire_digest: str) -> None:
        """Let a plan go: requests that come for it yet are told so, and their edges offer it again."""
        self._halves.pop(wire_digest, None)
        self._times.pop(wire_digest, None)

    def _checked_model(self, offer: PlanDefinition) -> Model:
        model = self._models.get(offer.model_digest)
        if model is None:
            raise NotFound(f"model digest {offer.model_digest[:12]} is not served here")
        expected = wire_digest(model.digest, offer.edge_ops, offer.uplink, offer.downlink)
        if expected != offer.wire_digest:
            raise InvalidPlan(
                "wire_digest", f"does not match the plan, {expected} does", value=offer.wire_digest, remedy="re-plan"
            )
        return model

    def _measure(self, model: Model, offer: PlanDefinition, half: CloudHalf) -> tuple[MeasuredBatch, ...]:
        # Only makes what would arrive: not worth compiling anything for.
        edge = EdgeHalf(model, offer.edge_ops, offer.uplink, offer.downlink, EagerEngine(threads=self._engine.threads))
        files = [wire.tensor for wire in offer.uplink if wire.codec in IMAGE_CODEC_NAMES]
        encoded = {batch: edge.run(sample_inputs(model, batch, files)).encoded for batch in MEASURED_BATCHES}
        return tuple(_measure_batch(half, encoded[batch], batch) for batch in MEASURED_BATCHES)

    async def run(self, request: RequestArrived) -> SuffixResult:
        """See SegmentNode."""
        half = self._halves.get(request.wire_digest)
        if half is None:
            raise UnknownPlan(f"wire digest {request.wire_digest!r} is not prepared on this replica")
        self._halves[request.wire_digest] = self._halves.pop(request.wire_digest)  # the last used goes last
        if self._queued >= MAX_QUEUED:
            raise Overloaded(f"queue: {MAX_QUEUED} requests wait on this replica")
        ticket = self.ledger.admit(request.deadline_s)
        self._queued += 1
        try:
            return await self._pool.run(self._compute, half, request, ticket)
        finally:
            ticket.withdraw(time.monotonic())
            self._queued -= 1

    def _compute(self, half: CloudHalf, request: RequestArrived, ticket: Ticket) -> SuffixResult:
        started_s = time.monotonic()
        ticket.begin(started_s)
        outcome = half.run(request.tensors, request.batch)
        elapsed_s = time.monotonic() - started_s
        self._service_s += QUEUE_SMOOTHING * (elapsed_s - self._service_s)
        timings = CloudTimings(
            receive=request.receive,
            queue_s=started_s - request.arrived_s,
            decode_s=outcome.decode_s,
            suffix_s=outcome.suffix_s,
            encode_s=outcome.encode_s,
        )
        return SuffixResult(outcome.encoded, timings)


def _measure_batch(half: CloudHalf, encoded: Sequence[EncodedTensor], batch: int) -> MeasuredBatch:
    """Repeats the whole half; its low quantile is divided among the stages as their sums were."""
    half.run(encoded, batch)  # warms up
    runs: list[CloudOutcome] = []
    whole = measure(lambda: runs.append(half.run(encoded, batch)), budget_s=MEASURE_BUDGET_S)
    sums = [math.fsum(getattr(run, stage) for run in runs) for stage in ("suffix_s", "decode_s", "encode_s")]
    suffix_s, decode_s, encode_s = (whole.seconds * part / math.fsum(sums) for part in sums)
    return MeasuredBatch(batch, suffix_s, decode_s, encode_s)
