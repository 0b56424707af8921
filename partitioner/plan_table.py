"""The plans that a node can run for one model, with what each costs as a function of batch, file and link."""

from __future__ import annotations

import functools
import itertools
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from isthmus.errors import InvalidPlan, NotFound
from partitioner.cost_arrays import CostArrays
from partitioner.link import Link
from partitioner.measurements import AffineTime
from partitioner.plain_json import STRICT, read_json, write_json
from partitioner.plan import InputForm, Plan, Prediction

__all__ = [
    "FARTHEST",
    "NO_CORRECTION",
    "Accuracy",
    "Correction",
    "Curve",
    "EngineDifference",
    "Metric",
    "PlanCosts",
    "PlanEntry",
    "PlanTable",
    "scaled_curve",
]

Metric = Literal["top1_agreement", "cosine", "closeness"]
"""What answers are judged by. closeness: of answers of one number, 1 less the difference over their spread."""

FARTHEST = sys.float_info.max
"""The difference of answers of which only one is finite: JSON has no infinity."""

Curve = tuple[tuple[int, float], ...]
"""Seconds by items that run as one; sizes rise. Nodes make `BatchTimes` of it."""


def scaled_curve(curve: Curve, factor: float) -> Curve:
    """Every time `factor` times as long."""
    return tuple((size, took_s * factor) for size, took_s in curve)


@dataclass(frozen=True, slots=True)
class PlanCosts:
    """Measured or estimated costs of one plan, each affine in the batch.

    edge: preprocessing, prefix and encoding. cloud: decoding, suffix and encoding. local_finish: the suffix on the
    edge, for when the cloud is gone. The bytes are those on the wire, files not counted (see `PlanEntry.file_crosses`).
    edge_spread, cloud_spread: by how much repeats of that side differed, as a share of its time; 0 where nobody said.
    prefix_s, suffix_s: seconds of the prefix on the edge and of the suffix in the cloud by items that run as one, as
    measured, without preprocessing and codecs, which are done one by one. One size: nothing runs as one there; empty
    where nobody measured.
    """

    __pydantic_config__ = STRICT
    edge: AffineTime
    cloud: AffineTime
    uplink_bytes_fixed: int
    uplink_bytes_per_item: float
    downlink_bytes_fixed: int
    downlink_bytes_per_item: float
    local_finish: AffineTime
    edge_spread: float = 0.0
    cloud_spread: float = 0.0
    prefix_s: Curve = ()
    suffix_s: Curve = ()

    def __post_init__(self) -> None:
        sizes = ("uplink_bytes_fixed", "uplink_bytes_per_item", "downlink_bytes_fixed", "downlink_bytes_per_item")
        for name in (*sizes, "edge_spread", "cloud_spread"):
            size = getattr(self, name)
            if not (math.isfinite(size) and size >= 0):
                raise InvalidPlan(f"costs.{name}", "is no size" if name in sizes else "is no share", value=size)
        for name, curve in (("prefix_s", self.prefix_s), ("suffix_s", self.suffix_s)):
            if any(one[0] >= other[0] for one, other in itertools.pairwise(((0, 0.0), *curve))):
                raise InvalidPlan(f"costs.{name}", "has sizes that do not rise from 1 or more", value=curve)
            if not all(math.isfinite(took_s) and took_s >= 0 for _, took_s in curve):
                raise InvalidPlan(f"costs.{name}", "holds what is no time", value=curve)


@dataclass(frozen=True, slots=True)
class Correction:
    """Factors on a plan's costs: what its requests really took over what the costs say; and the seconds that they took
    besides: choosing, hand-overs, and stages too short for a factor. finish: on what the edge takes for the rest, where
    the cloud does not answer: that of the edge's stage, unless that is so short that its ratio says nothing of other
    work."""

    edge: float = 1.0
    cloud: float = 1.0
    uplink_bytes: float = 1.0
    overhead_s: float = 0.0
    finish: float = 1.0


NO_CORRECTION = Correction()


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How far a plan with a lossy codec agrees with the whole model, over `n` samples; 1.0 is perfect.

    low, high: the 95 % interval, samples of one source taken together; 0 and 1 where nobody worked it out.
    """

    __pydantic_config__ = STRICT
    metric: Metric
    value: float
    n: int
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class EngineDifference:
    """How far a plan's engines are from the whole model on eager, its codecs aside, over `n` items.

    max_abs: over all outputs, at most FARTHEST. cosine, top1_agreement: means for the first output. calibrated: on the
    model's own calibration inputs rather than made-up ones. closeness: mean for a first output of one number (see
    `Metric`), of which the other two say nothing; None for others.
    """

    __pydantic_config__ = STRICT
    max_abs: float
    cosine: float
    top1_agreement: float
    n: int
    calibrated: bool
    closeness: float | None = None

    def loss(self, classes: bool) -> float:
        """What an accuracy budget counts of it: the share of answers whose best class is another, else how far the
        cosine falls short of 1, or the closeness where there is one. classes: whether the first output has such."""
        return max(0.0, 1.0 - (self.top1_agreement if classes else self._nearness))

    @property
    def _nearness(self) -> float:
        return self.cosine if self.closeness is None else self.closeness

    def plus(self, other: EngineDifference) -> EngineDifference:
        """At most how far two engines are when each runs one part and was measured alone: what they lose adds up."""
        near = (self.closeness, other.closeness)
        return EngineDifference(
            max_abs=min(FARTHEST, self.max_abs + other.max_abs),
            cosine=self.cosine + other.cosine - 1.0,
            top1_agreement=max(0.0, self.top1_agreement + other.top1_agreement - 1.0),
            n=min(self.n, other.n),
            calibrated=self.calibrated and other.calibrated,
            closeness=None if None in near else sum(one for one in near if one is not None) - 1.0,
        )


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A plan and its costs. file_crosses: the request's own files cross, so their length adds to the wire bytes.

    accuracy: None for a lossless plan. engine_difference: None where both engines are exact.
    """

    __pydantic_config__ = STRICT
    plan: Plan
    costs: PlanCosts
    file_crosses: bool = False
    accuracy: Accuracy | None = None
    engine_difference: EngineDifference | None = None

    @property
    def edge_works(self) -> bool:
        """Whether something is left to do on the edge: not where a file crosses as it came."""
        plan = self.plan
        return plan.kind != "cloud-only" or any(tensor.codec != "file" for tensor in plan.boundary)

    def uplink_bytes(self, batch: int, file_bytes: int = 0) -> int:
        """Bytes to the cloud for `batch` items whose files have `file_bytes` in all."""
        tensors = self.costs.uplink_bytes_fixed + self.costs.uplink_bytes_per_item * batch
        return round(tensors) + (file_bytes if self.file_crosses else 0)

    def downlink_bytes(self, batch: int) -> int:
        """Bytes from the cloud for `batch` items."""
        return round(self.costs.downlink_bytes_fixed + self.costs.downlink_bytes_per_item * batch)

    def predict(
        self,
        batch: int,
        file_bytes: int,
        link: Link,
        correction: Correction = NO_CORRECTION,
        overhead_s: float = 0.0,
    ) -> Prediction:
        """The stages of one request on an idle edge and cloud over `link`; edge-only has no link stages.

        overhead_s: what the request costs besides, whatever the plan.
        """
        overhead_s += correction.overhead_s
        edge_s = self.costs.edge.at(batch) * correction.edge
        if self.plan.kind == "edge-only":
            return Prediction.of(edge_s, 0.0, 0.0, 0.0, overhead_s)
        half_trip_s = link.rtt_s / 2
        return Prediction.of(
            edge_s,
            link.uplink_s(self.uplink_bytes(batch, file_bytes) * correction.uplink_bytes) + half_trip_s,
            self.costs.cloud.at(batch) * correction.cloud,
            link.downlink_s(self.downlink_bytes(batch)) + half_trip_s,
            overhead_s,
        )


@dataclass(frozen=True)  # no slots: which plans take which form is worked out once, not for every request
class PlanTable:
    """All plans of one model that are offered. Raises InvalidPlan on a plan of another model and on one given twice."""

    __pydantic_config__ = STRICT
    model: str
    model_digest: str
    entries: tuple[PlanEntry, ...]

    def __post_init__(self) -> None:
        ids = [entry.plan.plan_id for entry in self.entries]
        if len(set(ids)) < len(ids):
            raise InvalidPlan("plan table", "holds a plan twice", value=sorted(ids))
        for entry in self.entries:
            if entry.plan.model_digest != self.model_digest:
                raise InvalidPlan("plan table", "holds a plan of another model", value=entry.plan.plan_id)

    def for_form(self, form: InputForm) -> tuple[PlanEntry, ...]:
        """The entries that take inputs of this form."""
        return self._by_form[form]

    def plan_ids(self, form: InputForm) -> tuple[str, ...]:
        """The ids of the plans that take inputs of this form."""
        return self._ids_by_form[form]

    @functools.cached_property
    def _by_form(self) -> Mapping[InputForm, tuple[PlanEntry, ...]]:
        return {form: tuple(entry for entry in self.entries if entry.plan.form == form) for form in get_args(InputForm)}

    @functools.cached_property
    def _ids_by_form(self) -> Mapping[InputForm, tuple[str, ...]]:
        return {form: tuple(entry.plan.plan_id for entry in entries) for form, entries in self._by_form.items()}

    def cost_arrays(self, form: InputForm) -> CostArrays:
        """The costs of the plans that take inputs of this form, as arrays."""
        return self._arrays_by_form[form]

    @functools.cached_property
    def _arrays_by_form(self) -> Mapping[InputForm, CostArrays]:
        return {form: CostArrays.of(entries) for form, entries in self._by_form.items()}

    def able(self, prepared: frozenset[str]) -> PlanTable:
        """The plans that can run where replicas have prepared these wire digests: those, and what needs no cloud."""
        able = (one for one in self.entries if one.plan.kind == "edge-only" or one.plan.wire_digest in prepared)
        return PlanTable(self.model, self.model_digest, tuple(able))

    def by_id(self, plan_id: str) -> PlanEntry:
        """The entry of that plan. Raises NotFound."""
        for entry in self.entries:
            if entry.plan.plan_id == plan_id:
                return entry
        raise NotFound(f"model {self.model!r} has no plan {plan_id!r}")

    def to_json(self) -> str:
        """`from_json` reads it back equal."""
        return write_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> PlanTable:
        """Raises InvalidPlan naming the key at fault."""
        return read_json(cls, text, InvalidPlan, "plan table")
