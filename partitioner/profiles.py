"""What was measured of a device, as data. The clock that measured it is elsewhere (nodes.measure).

Every time includes the device's emulated slowdown, if it has one. Reading JSON raises InvalidProfile.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from isthmus.errors import InvalidProfile
from partitioner.graph import ModelGraph
from partitioner.plain_json import STRICT, read_json, write_json
from partitioner.roofline import Roofline

__all__ = [
    "AffineTime",
    "CodecRate",
    "DeviceProfile",
    "Measurement",
    "OpTimes",
    "Provenance",
    "SegmentTime",
    "digest_of_ops",
]


def digest_of_ops(edge_ops: Iterable[str]) -> str:
    """16 hex digits that name a set of ops, whatever its order."""
    return hashlib.sha256("\n".join(sorted(edge_ops)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A time in seconds: the 10th percentile of `repeats`, and how far the median lies above it."""

    __pydantic_config__ = STRICT
    seconds: float
    spread_s: float
    repeats: int

    def __post_init__(self) -> None:
        _check_times(self, "seconds", "spread_s")
        _check(self.repeats >= 1, "repeats", self.repeats)


@dataclass(frozen=True, slots=True)
class AffineTime:
    """A time that grows with the batch: fixed_s + per_item_s * batch."""

    __pydantic_config__ = STRICT
    fixed_s: float
    per_item_s: float

    def __post_init__(self) -> None:
        _check_times(self, "fixed_s", "per_item_s")

    def at(self, batch: int) -> float:
        """Seconds for `batch` items."""
        return self.fixed_s + self.per_item_s * batch


@dataclass(frozen=True, slots=True)
class CodecRate:
    """How fast a device encodes and decodes with one codec, per byte of the decoded tensor."""

    __pydantic_config__ = STRICT
    encode_s_per_byte: float
    encode_fixed_s: float
    decode_s_per_byte: float
    decode_fixed_s: float

    def __post_init__(self) -> None:
        _check_times(self, "encode_s_per_byte", "encode_fixed_s", "decode_s_per_byte", "decode_fixed_s")

    def encode_s(self, tensor_bytes: int) -> float:
        """Seconds to encode a tensor of that many bytes."""
        return self.encode_fixed_s + self.encode_s_per_byte * tensor_bytes

    def decode_s(self, tensor_bytes: int) -> float:
        """Seconds to decode a tensor of that many bytes (its size once decoded)."""
        return self.decode_fixed_s + self.decode_s_per_byte * tensor_bytes


@dataclass(frozen=True, slots=True)
class OpTimes:
    """Each op of one model timed alone, and the whole model timed as the engine really runs it."""

    __pydantic_config__ = STRICT
    model_digest: str
    engine: str
    threads: int
    batch: int
    seconds: Mapping[str, Measurement]
    whole: Measurement

    def __post_init__(self) -> None:
        _check(self.threads >= 1, "threads", self.threads)
        _check(self.batch >= 1, "batch", self.batch)

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What a later measurement of the same thing replaces."""
        return (self.model_digest, self.engine, self.threads, self.batch)

    def shares_of_whole(self) -> Mapping[str, float]:
        """Seconds of each op, scaled to sum to the whole run: closer than the plain sum (4.8 % -> 1.8 % on a CNN)."""
        total = math.fsum(time.seconds for time in self.seconds.values())
        scale = self.whole.seconds / total if total > 0 else 1.0
        return {name: time.seconds * scale for name, time in self.seconds.items()}


@dataclass(frozen=True, slots=True)
class SegmentTime:
    """The real time of one prefix or suffix; the cut is named by `digest_of_ops` of its edge ops."""

    __pydantic_config__ = STRICT
    model_digest: str
    segment: Literal["prefix", "suffix"]
    edge_ops_digest: str
    engine: str
    batch: int
    time: Measurement

    def __post_init__(self) -> None:
        _check(self.segment in ("prefix", "suffix"), "segment", self.segment)
        _check(self.batch >= 1, "batch", self.batch)

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What a later measurement of the same thing replaces."""
        return (self.model_digest, self.segment, self.edge_ops_digest, self.engine, self.batch)


@dataclass(frozen=True, slots=True)
class Provenance:
    """When and where a profile was taken. load: the 1-minute load average then. noisy: repeats disagreed too much."""

    __pydantic_config__ = STRICT
    measured_at: str
    host: str
    torch_version: str
    load: float
    noisy: bool
    allocator: str


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One device, measured. Immutable: `with_op_times` and `with_segment_times` return a profile that knows more.

    slowdown: emulated, 1.0 without; already inside every time and rate here, kept so that outputs can say so.
    flops_per_s: peak by dtype ("float32"). memory_bytes_per_s: bandwidth. op_overhead_s: what any op costs at least.
    preprocessing_s_per_pixel, preprocessing_fixed_s: file to model input, per pixel of the file's picture.
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

    def __post_init__(self) -> None:
        _check(self.device in ("cpu", "cuda"), "device", self.device)
        _check(self.threads >= 1, "threads", self.threads)
        _check(math.isfinite(self.slowdown) and self.slowdown >= 1.0, "slowdown", self.slowdown)
        _check_times(self, "op_overhead_s", "preprocessing_s_per_pixel", "preprocessing_fixed_s")
        rates = {"memory_bytes_per_s": self.memory_bytes_per_s, **self.flops_per_s}
        _check("float32" in rates, "flops_per_s", dict(self.flops_per_s))
        for name, rate in rates.items():
            _check(math.isfinite(rate) and rate > 0, name, rate)

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

    def op_seconds(self, graph: ModelGraph, model_digest: str, batch: int) -> Mapping[str, float]:
        """Seconds of every op of `graph` for a batch: measured where it was, else by the roofline.

        Times measured at another batch are scaled by what the roofline says of the two batches.
        """
        roof = Roofline(self.flops_per_s, self.memory_bytes_per_s, self.op_overhead_s)
        estimated = roof.op_seconds(graph, batch)
        times = self._nearest_op_times(model_digest, batch)
        if times is None:
            return estimated
        measured = times.shares_of_whole()
        there = estimated if times.batch == batch else roof.op_seconds(graph, times.batch)
        return {
            name: measured[name] * (estimate / there[name] if there[name] else 1.0) if name in measured else estimate
            for name, estimate in estimated.items()
        }

    def segment_time(
        self, model_digest: str, segment: Literal["prefix", "suffix"], edge_ops: Iterable[str], batch: int
    ) -> Measurement:
        """The measured time of one half of a cut at that batch. Raises InvalidProfile where it was not measured."""
        wanted = (model_digest, segment, digest_of_ops(edge_ops), self.engine, batch)
        for time in self.segment_times:
            if time.key == wanted:
                return time.time
        remedy = "measure the cut on this device"
        raise InvalidProfile("segment_times", f"hold no {segment} of that cut", value=wanted[2], remedy=remedy)

    def has_op_times(self, model_digest: str) -> bool:
        """Whether the ops of that model were measured here, at whatever batch."""
        return self._nearest_op_times(model_digest, 1) is not None

    def _nearest_op_times(self, model_digest: str, batch: int) -> OpTimes | None:
        mine = [t for t in self.op_times if t.model_digest == model_digest and t.engine == self.engine]
        return min(mine, key=lambda t: (abs(math.log(t.batch / batch)), -t.batch), default=None)


def _check_times(owner: object, *names: str) -> None:
    for name in names:
        seconds = getattr(owner, name)
        _check(math.isfinite(seconds) and seconds >= 0, f"{type(owner).__name__}.{name}", seconds)


def _check(holds: bool, field_name: str, value: object) -> None:
    if not holds:
        raise InvalidProfile(field_name, "is not valid", value=value, remedy="measure the device again")
