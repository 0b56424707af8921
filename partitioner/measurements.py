"""What was measured, one value a thing: times of ops, halves and codecs, memory, watts, prices, and where it was.

Every time includes the device's emulated slowdown, if it has one. A value that cannot be raises InvalidProfile.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from isthmus.errors import InvalidProfile
from partitioner.plain_json import STRICT

__all__ = [
    "AffineTime",
    "CodecRate",
    "Footprint",
    "Half",
    "Measurement",
    "OpTimes",
    "Power",
    "Price",
    "Provenance",
    "SegmentTime",
    "Taken",
    "check",
    "check_times",
    "digest_of_ops",
]

Half = Literal["prefix", "suffix"]
"""Of a cut: what the edge runs, and what the cloud does."""


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
        check_times(self, "seconds", "spread_s")
        check(self.repeats >= 1, "repeats", self.repeats)

    @property
    def spread_share(self) -> float:
        """The spread as a share of the time; 0 of no time."""
        return self.spread_s / self.seconds if self.seconds else 0.0

    def scaled(self, factor: float) -> Measurement:
        """The time and its spread, `factor` times as long."""
        return Measurement(self.seconds * factor, self.spread_s * factor, self.repeats)


@dataclass(frozen=True, slots=True)
class AffineTime:
    """A time that grows with the batch: fixed_s + per_item_s * batch."""

    __pydantic_config__ = STRICT
    fixed_s: float
    per_item_s: float

    def __post_init__(self) -> None:
        check_times(self, "fixed_s", "per_item_s")

    def at(self, batch: int) -> float:
        """Seconds for `batch` items."""
        return self.fixed_s + self.per_item_s * batch


@dataclass(frozen=True, slots=True)
class CodecRate:
    """How fast a device encodes and decodes with one codec, per byte of the decoded tensor.

    encode_spread, decode_spread: by which share of the time the median of repeats lay above it, of the size where that
    was most; None where nobody kept it.
    """

    __pydantic_config__ = STRICT
    encode_s_per_byte: float
    encode_fixed_s: float
    decode_s_per_byte: float
    decode_fixed_s: float
    encode_spread: float | None = None
    decode_spread: float | None = None

    def __post_init__(self) -> None:
        check_times(self, "encode_s_per_byte", "encode_fixed_s", "decode_s_per_byte", "decode_fixed_s")
        check_known(self, "encode_spread", "decode_spread")

    def scaled(self, factor: float) -> CodecRate:
        """The rates of a device that takes `factor` times as long."""
        return replace(
            self,
            encode_s_per_byte=self.encode_s_per_byte * factor,
            encode_fixed_s=self.encode_fixed_s * factor,
            decode_s_per_byte=self.decode_s_per_byte * factor,
            decode_fixed_s=self.decode_fixed_s * factor,
        )

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
        check(self.threads >= 1, "threads", self.threads)
        check(self.batch >= 1, "batch", self.batch)

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
    """The real time of one prefix or suffix; the cut is named by `digest_of_ops` of its edge ops.

    leading_ops: of an anchor, to which op times are scaled (`op_calibration`): how many ops, the first of the graph's
    order, are on the edge. None of a cut that was timed for its own sake.
    """

    __pydantic_config__ = STRICT
    model_digest: str
    segment: Half
    edge_ops_digest: str
    engine: str
    batch: int
    time: Measurement
    leading_ops: int | None = None

    def __post_init__(self) -> None:
        check(self.segment in ("prefix", "suffix"), "segment", self.segment)
        check(self.batch >= 1, "batch", self.batch)

    @property
    def is_anchor(self) -> bool:
        """Whether op times are scaled to it."""
        return self.leading_ops is not None

    @property
    def key(self) -> tuple[str, str, str, str, int, bool]:
        """What a later measurement of the same thing replaces: a cut may be an anchor and timed for its own sake."""
        return (self.model_digest, self.segment, self.edge_ops_digest, self.engine, self.batch, self.is_anchor)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a whole model takes on the device besides time, at one batch.

    load_s: from the artifact on disk to the first answer, the quickest of a few; load_spread_s: how far the median of
    them lay above it, None where nobody kept it. peak_activation_bytes: the most that its activations held at
    once (inputs included, parameters not); None where nobody can watch them. compile_s: what compiling
    it took when that was done, 0 for an engine that compiles nothing; no part of load_s where the code was kept.
    """

    __pydantic_config__ = STRICT
    model_digest: str
    engine: str
    batch: int
    load_s: float
    parameter_bytes: int
    peak_activation_bytes: int | None
    compile_s: float = 0.0
    load_spread_s: float | None = None

    def __post_init__(self) -> None:
        check_times(self, "load_s", "compile_s")
        check_known(self, "load_spread_s")
        check(self.batch >= 1, "batch", self.batch)

    @property
    def key(self) -> tuple[str, str, int]:
        """What a later measurement of the same thing replaces."""
        return (self.model_digest, self.engine, self.batch)


@dataclass(frozen=True, slots=True)
class Taken:
    """When (ISO 8601) and on which host something was measured. noisy: repeats disagreed too much, or the machine was
    busy."""

    __pydantic_config__ = STRICT
    measured_at: str
    host: str
    noisy: bool = False

    def is_like(self, other: Taken) -> bool:
        """Whether both are of one day and host."""
        days = {one.measured_at.partition("T")[0] for one in (self, other)}
        return len(days) == 1 and self.host == other.host


@dataclass(frozen=True, slots=True)
class Provenance:
    """When and where a device was measured, its models apart (`DeviceProfile.taken`). load: the 1-minute
    load average then. noisy: repeats of the device's own measurements disagreed too much, or the machine was busy.

    scaled_from: what a profile of hardware that nobody measured was made of; "" for a real one. left_out: what the
    budget did not allow to measure.
    """

    __pydantic_config__ = STRICT
    measured_at: str
    host: str
    torch_version: str
    load: float
    noisy: bool
    allocator: str
    scaled_from: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def taken(self) -> Taken:
        """When and where, and whether it was noisy."""
        return Taken(self.measured_at, self.host, self.noisy)


@dataclass(frozen=True, slots=True)
class Power:
    """Watts of a device: while it computes, while it waits, and what its radio takes on top while bytes move.

    provenance: "declared by ...", or what read it. measured: whether busy and idle were read. A radio never is, and
    counts 0 until it is declared. radio_by: who declared it beside what was read, "" where nobody did.
    """

    __pydantic_config__ = STRICT
    busy_w: float
    idle_w: float
    radio_w: float
    provenance: str
    measured: bool = False
    radio_by: str = ""

    def __post_init__(self) -> None:
        check_times(self, "busy_w", "idle_w", "radio_w")
        check(self.busy_w >= self.idle_w, "Power.busy_w", self.busy_w)

    @property
    def knows_radio(self) -> bool:
        """Whether somebody has said what the radio takes."""
        return not self.measured or self.radio_w > 0.0 or bool(self.radio_by)

    @property
    def said_by(self) -> str:
        """Whose word all of it is."""
        return f"{self.provenance}; radio {self.radio_by}" if self.radio_by else self.provenance

    def with_radio(self, radio_w: float, by: str) -> Power:
        """What was read, and a radio as declared. by: who declared it."""
        return replace(self, radio_w=radio_w, radio_by=by)

    def with_radio_of(self, other: Power) -> Power:
        """What was read, and the other one's radio where that was declared."""
        return self.with_radio(other.radio_w, other.radio_by) if other.knows_radio else self


@dataclass(frozen=True, slots=True)
class Price:
    """What a second of a device costs, in any currency. provenance: whose price, and when."""

    __pydantic_config__ = STRICT
    per_s: float
    provenance: str

    def __post_init__(self) -> None:
        check_times(self, "per_s")


def check_times(owner: object, *names: str) -> None:
    """Raise InvalidProfile unless these attributes are durations or rates: finite, zero or more."""
    for name in names:
        seconds = getattr(owner, name)
        check(math.isfinite(seconds) and seconds >= 0, f"{type(owner).__name__}.{name}", seconds)


def check_known(owner: object, *names: str) -> None:
    """The same of those that are not None."""
    check_times(owner, *(name for name in names if getattr(owner, name) is not None))


def check(holds: bool, field_name: str, value: object) -> None:
    """Raise InvalidProfile naming the field and its value unless `holds`."""
    if not holds:
        raise InvalidProfile(field_name, "is not valid", value=value, remedy="measure the device again")
