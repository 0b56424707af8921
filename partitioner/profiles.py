"""A device's profile: all that was measured of it, as data. The clock that measured it is elsewhere (nodes.measure).

Reading JSON raises InvalidProfile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from isthmus.errors import InvalidProfile
from partitioner.affine_fit import affine_time
from partitioner.graph import ModelGraph
from partitioner.measurements import (
    CodecRate,
    Footprint,
    Half,
    Measurement,
    OpTimes,
    Power,
    Price,
    Provenance,
    SegmentTime,
    Taken,
    check,
    check_times,
    digest_of_ops,
)
from partitioner.op_calibration import Anchor, calibrated
from partitioner.plain_json import STRICT, read_json, write_json
from partitioner.plan_table import EngineDifference
from partitioner.roofline import Roofline

__all__ = ["DeviceProfile"]


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One device, measured. Immutable: `with_op_times` and `with_segment_times` return a profile that knows more.

    slowdown: emulated, 1.0 without; already inside every time and rate here, kept so that outputs can say so.
    flops_per_s: peak by dtype ("float32"). memory_bytes_per_s: bandwidth. op_overhead_s: what any op costs at least.
    kind_flops_per_s: the peak of one kind of op where it was measured apart, as "convolution float32".
    preprocessing_s_per_pixel, preprocessing_fixed_s: file to model input, per pixel of the file's picture.
    engine_differences: how far the engine's answers for a whole model are from eager's, by model digest.
    sessions: when and where each model was measured, by its digest: all that is known of it but what was declared
    (op times, segments, footprints, the engine's difference). One that is not there was measured with the device.
    power, price: declared, power perhaps measured, or None; what the objectives energy (of the edge) and cost (of the
    cloud) need.
    """

    __pydantic_config__ = STRICT
    device: Literal["cpu", "cuda"]
    name: str
    threads: int
    slowdown: float
    flops_per_s: Mapping[str, float]
    memory_bytes_per_s: float
    op_overhead_s: float
    codec_rates: Mapping[str, CodecRate]
    provenance: Provenance
    op_times: tuple[OpTimes, ...] = ()
    segment_times: tuple[SegmentTime, ...] = ()
    preprocessing_s_per_pixel: float = 0.0
    preprocessing_fixed_s: float = 0.0
    engine: str = field(default="eager")
    kind_flops_per_s: Mapping[str, float] = field(default_factory=dict)
    footprints: tuple[Footprint, ...] = ()
    power: Power | None = None
    price: Price | None = None
    engine_differences: Mapping[str, EngineDifference] = field(default_factory=dict)
    sessions: Mapping[str, Taken] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self.device in ("cpu", "cuda"), "device", self.device)
        check(self.threads >= 1, "threads", self.threads)
        check(math.isfinite(self.slowdown) and self.slowdown >= 1.0, "slowdown", self.slowdown)
        check_times(self, "op_overhead_s", "preprocessing_s_per_pixel", "preprocessing_fixed_s")
        rates = {"memory_bytes_per_s": self.memory_bytes_per_s, **self.flops_per_s, **self.kind_flops_per_s}
        check("float32" in rates, "flops_per_s", dict(self.flops_per_s))
        for name, rate in rates.items():
            check(math.isfinite(rate) and rate > 0, name, rate)

    @property
    def ran_on(self) -> str:
        """The engine and the threads, in words."""
        return f"{self.engine}, {self.threads} thread{'' if self.threads == 1 else 's'}"

    def to_json(self) -> str:
        """`from_json` reads it back equal."""
        return write_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> DeviceProfile:
        """Raises InvalidProfile naming the key at fault."""
        return read_json(cls, text, InvalidProfile, "profile")

    def with_op_times(self, *times: OpTimes) -> DeviceProfile:
        """The profile with these op times; they replace older ones of the same model, engine, threads and batch."""
        merged = {time.key: time for time in (*self.op_times, *times)}
        return replace(self, op_times=tuple(merged.values()))

    def with_segment_times(self, *times: SegmentTime) -> DeviceProfile:
        """The profile with these segment times; they replace older ones of the same segment, engine and batch."""
        merged = {time.key: time for time in (*self.segment_times, *times)}
        return replace(self, segment_times=tuple(merged.values()))

    def with_footprints(self, *footprints: Footprint) -> DeviceProfile:
        """The profile with these footprints; they replace older ones of the same model, engine and batch."""
        merged = {one.key: one for one in (*self.footprints, *footprints)}
        return replace(self, footprints=tuple(merged.values()))

    def without_session(self, model_digest: str) -> DeviceProfile:
        """The profile without what `isthmus profile MODEL` measured of that model on the profile's engine: op times,
        footprints, the difference from eager, halves of cuts (whole runs among them), and when that was."""
        gone = (model_digest, self.engine)
        return replace(
            self,
            op_times=tuple(one for one in self.op_times if (one.model_digest, one.engine) != gone),
            footprints=tuple(one for one in self.footprints if (one.model_digest, one.engine) != gone),
            segment_times=tuple(one for one in self.segment_times if (one.model_digest, one.engine) != gone),
            engine_differences={key: one for key, one in self.engine_differences.items() if key != model_digest},
            sessions={key: one for key, one in self.sessions.items() if key != model_digest},
        )

    def with_session(self, model_digest: str, taken: Taken) -> DeviceProfile:
        """The profile with when and where that model was measured, which the other `with_` methods do not say."""
        return replace(self, sessions={**self.sessions, model_digest: taken})

    def taken(self, model_digest: str) -> Taken:
        """When and where that model was measured; where nobody says so, when and where the device was."""
        return self.sessions.get(model_digest, self.provenance.taken)

    def is_noisy(self, model_digest: str) -> bool:
        """Whether what goes into that model's times was measured on a busy machine: its own times or the device's."""
        return self.provenance.noisy or self.taken(model_digest).noisy

    def taken_apart(self, model_digest: str) -> Taken | None:
        """The same where it was another day or host than the device's; None where it was not."""
        taken = self.taken(model_digest)
        return None if taken.is_like(self.provenance.taken) else taken

    def with_engine_difference(self, model_digest: str, difference: EngineDifference) -> DeviceProfile:
        """The profile with how far its engine is from eager on that model."""
        return replace(self, engine_differences={**self.engine_differences, model_digest: difference})

    def op_times_of(self, model_digest: str, engine: str | None = None) -> tuple[OpTimes, ...]:
        """The op times of that model on `engine`, the profile's own without one; none where they were not measured."""
        wanted = (model_digest, engine or self.engine)
        return tuple(times for times in self.op_times if (times.model_digest, times.engine) == wanted)

    def roofline(self) -> Roofline:
        """What op times are guessed from where none were measured."""
        return Roofline(self.flops_per_s, self.memory_bytes_per_s, self.op_overhead_s, self.kind_flops_per_s)

    def op_seconds(self, graph: ModelGraph, model_digest: str, batch: int) -> Mapping[str, float]:
        """Seconds of every op of `graph` for a batch: measured where it was, else by the roofline.

        Measured ops are scaled to sum to the real times of the segments between measured cuts (`op_calibration`).
        Times measured at another batch are scaled by what the roofline says of the two batches, and all alike so that
        they grow together as the whole model was measured to, where it was.
        """
        roof = self.roofline()
        estimated = roof.op_seconds(graph, batch)
        times = self._nearest_op_times(model_digest, batch)
        if times is None:
            return estimated
        measured = calibrated(times.shares_of_whole(), [op.name for op in graph.ops], self._anchors(times))
        measured = {name: took for name, took in measured.items() if name in estimated}
        if times.batch == batch:
            return {**estimated, **measured}
        there = roof.op_seconds(graph, times.batch)
        grown = {
            name: took * (estimated[name] / there[name] if there[name] else 1.0) for name, took in measured.items()
        }
        growth = self.growth(model_digest, len(graph.ops), times.batch, batch)
        if growth is not None:
            factor = growth * math.fsum(measured.values()) / math.fsum(grown.values())
            grown = {name: took * factor for name, took in grown.items()}
        return {**estimated, **grown}

    def whole_seconds(self, model_digest: str, op_count: int) -> dict[int, float]:
        """Seconds of the whole model on the profile's engine, by batch, where they were measured."""
        seconds = {times.batch: times.whole.seconds for times in self.op_times_of(model_digest)}
        for one in self.segment_times:
            whole = one.leading_ops == op_count and one.segment == "prefix"
            if whole and (one.model_digest, one.engine) == (model_digest, self.engine):
                seconds[one.batch] = one.time.seconds
        return seconds

    def growth(self, model_digest: str, op_count: int, batch: int, to_batch: int) -> float | None:
        """How many times as long the whole model takes for another batch: as measured, on the line through what was
        measured where that batch was not; None where one batch alone was."""
        seconds = self.whole_seconds(model_digest, op_count)
        if len(seconds) < 2 or batch not in seconds:
            return None
        line = affine_time({float(size): took for size, took in seconds.items()})
        return seconds.get(to_batch, line.at(to_batch)) / seconds[batch]

    def segment_time(self, model_digest: str, segment: Half, edge_ops: Iterable[str], batch: int) -> Measurement:
        """The measured time of one half of a cut at that batch. Raises InvalidProfile where it was not measured."""
        wanted = (model_digest, segment, digest_of_ops(edge_ops), self.engine, batch)
        found = [one for one in self.segment_times if one.key[:-1] == wanted]
        if not found:
            remedy = "measure the cut on this device"
            raise InvalidProfile("segment_times", f"hold no {segment} of that cut", value=wanted[2], remedy=remedy)
        return min(found, key=lambda one: one.is_anchor).time  # what was timed for its own sake first

    def op_times_are(self, model_digest: str) -> str:
        """Where the times of that model's ops come from, in words: measured or the roofline, or scaled from either."""
        scaled_from = self.provenance.scaled_from
        if not self.has_op_times(model_digest):
            return f"roofline scaled from {scaled_from}" if scaled_from else "roofline"
        return f"op times scaled from {scaled_from}" if scaled_from else "measured op times"

    def has_op_times(self, model_digest: str) -> bool:
        """Whether the ops of that model were measured here, at whatever batch."""
        return self._nearest_op_times(model_digest, 1) is not None

    def _anchors(self, times: OpTimes) -> tuple[Anchor, ...]:
        """The cuts after so many ops whose two halves were timed on the same engine, model and batch."""
        halves: dict[int, dict[str, float]] = {}
        for one in self.segment_times:
            same = (one.model_digest, one.engine, one.batch) == (times.model_digest, times.engine, times.batch)
            if same and one.leading_ops is not None:
                halves.setdefault(one.leading_ops, {})[one.segment] = one.time.seconds
        return tuple(
            Anchor(leading, seconds["prefix"], seconds["suffix"])
            for leading, seconds in sorted(halves.items())
            if len(seconds) == 2
        )

    def _nearest_op_times(self, model_digest: str, batch: int) -> OpTimes | None:
        return min(
            self.op_times_of(model_digest), key=lambda t: (abs(math.log(t.batch / batch)), -t.batch), default=None
        )
