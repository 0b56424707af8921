"""A plan: a cut, a codec for all that crosses, an engine for each side; as data, with its digests."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from isthmus.errors import InvalidPlan
from partitioner.plain_json import STRICT, canonical_json, read_json

__all__ = [
    "CodecKey",
    "InputForm",
    "Plan",
    "PlanKind",
    "Prediction",
    "TensorCodec",
    "WireTensor",
    "codec_key",
    "wire_digest",
]

InputForm = Literal["tensor", "bytes"]
PlanKind = Literal["edge-only", "cloud-only", "split"]
CodecKey = tuple[str, str, tuple[tuple[str, str], ...]]
"""A tensor, its codec, and that codec's parameters: what a loss of accuracy is measured of."""

_DIGEST_DIGITS = 16


class WireTensor(Protocol):
    """A tensor that crosses, as far as both sides must agree on it."""

    @property
    def tensor(self) -> str: ...
    @property
    def codec(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, str]: ...


def codec_key(tensor: str, codec: str, parameters: Mapping[str, str]) -> CodecKey:
    """The key of `tensor` in that codec with those parameters."""
    return tensor, codec, tuple(sorted(parameters.items()))


@dataclass(frozen=True, slots=True)
class TensorCodec:
    """How one tensor crosses. parameters: sorted, and part of the digest.

    bytes: expected on the wire of a request of one item, whatever batch the plan was made for (`request_bytes` says
    what several take). spread_bytes: by how much one item differs from that (standard deviation of the items that were
    measured); 0 where all are alike or nobody measured.
    """

    __pydantic_config__ = STRICT
    tensor: str
    codec: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    bytes: int = 0
    spread_bytes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", dict(sorted(self.parameters.items())))
        if min(self.bytes, self.spread_bytes) < 0:
            raise InvalidPlan(f"bytes of {self.tensor!r}", "cannot be negative", value=(self.bytes, self.spread_bytes))

    @property
    def key(self) -> CodecKey:
        """What a loss of accuracy is measured of."""
        return codec_key(self.tensor, self.codec, self.parameters)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where the time of one request goes, in seconds.

    edge_s: prefix and encoding. uplink_s: bytes over bandwidth and half the round trip. cloud_s: decoding, suffix and
    encoding of the outputs. downlink_s: the way back and decoding. overhead_s: what the request costs besides, from the
    client to the edge node and within it; 0 where no gateway was measured, as in all that is planned offline. total_s:
    the sum.
    """

    __pydantic_config__ = STRICT
    edge_s: float
    uplink_s: float
    cloud_s: float
    downlink_s: float
    total_s: float
    overhead_s: float = 0.0

    @classmethod
    def of(
        cls, edge_s: float, uplink_s: float, cloud_s: float, downlink_s: float, overhead_s: float = 0.0
    ) -> Prediction:
        """A prediction whose total is the sum of its stages. Raises InvalidPlan on a stage that is no duration."""
        total_s = edge_s + uplink_s + cloud_s + downlink_s + overhead_s
        return cls(edge_s, uplink_s, cloud_s, downlink_s, total_s, overhead_s)

    def __post_init__(self) -> None:
        # One is made for each request, so the checks are few: a NaN or an infinity is one in the sum too.
        edge_s, uplink_s, cloud_s, downlink_s = self.edge_s, self.uplink_s, self.cloud_s, self.downlink_s
        overhead_s = self.overhead_s
        total_s = edge_s + uplink_s + cloud_s + downlink_s + overhead_s
        least = edge_s >= 0 and uplink_s >= 0 and cloud_s >= 0 and downlink_s >= 0 and overhead_s >= 0
        if not (least and total_s < math.inf):
            raise InvalidPlan(
                "predicted",
                "has a stage that is no duration",
                value=(edge_s, uplink_s, cloud_s, downlink_s, overhead_s),
            )
        if not abs(self.total_s - total_s) <= 1e-9 * total_s + 1e-12:
            raise InvalidPlan("predicted.total_s", "is not the sum of the stages", value=self.total_s)


@dataclass(frozen=True)  # no slots: the digests are worked out once a plan, not at each of a request's look-ups
class Plan:
    """A cut of one model with codecs and engines, its predicted time and where its numbers come from.

    edge_ops: in topological order. boundary: what crosses to the cloud, in the order of `ModelGraph.boundary`.
    downlink: the cloud-made outputs. kept: outputs made on the edge. predicted: of one request on the link it was made
    for, of as many items as the provenance's `batch` says; the bytes of its tensors are one item's all the same.
    """

    __pydantic_config__ = STRICT
    model: str
    model_digest: str
    form: InputForm
    edge_ops: tuple[str, ...]
    boundary: tuple[TensorCodec, ...]
    downlink: tuple[TensorCodec, ...]
    kept: tuple[str, ...]
    edge_engine: str = "eager"
    cloud_engine: str = "eager"
    predicted: Prediction | None = field(default=None, compare=True)
    provenance: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def wire_digest(self) -> str:
        """16 hex digits over what both sides must agree on: model digest, cut, codecs with parameters.

        Preprocessing is part of the model digest. The order of `edge_ops` does not matter, that of the tensors does.
        """
        return wire_digest(self.model_digest, self.edge_ops, self.boundary, self.downlink)

    @cached_property
    def plan_id(self) -> str:
        """16 hex digits over wire digest, input form and engines: what is predicted, chosen and explained."""
        return _digest([self.wire_digest, self.form, self.edge_engine, self.cloud_engine])

    @cached_property
    def kind(self) -> PlanKind:
        """Nothing crosses: "edge-only". Nothing runs on the edge: "cloud-only"."""
        if not self.boundary and not self.downlink:
            return "edge-only"
        return "split" if self.edge_ops else "cloud-only"

    @property
    def uplink_bytes(self) -> int:
        """Expected bytes that cross to the cloud at batch 1."""
        return sum(tensor.bytes for tensor in self.boundary)

    @cached_property
    def uplink_spread(self) -> float:
        """By how much one item differs from `uplink_bytes`, as a share; the tensors' add as independent."""
        return math.hypot(*(tensor.spread_bytes for tensor in self.boundary)) / max(1, self.uplink_bytes)

    def to_json(self) -> str:
        """Readable JSON with both digests, so that a plan that was edited by hand is told apart."""
        digests = {"wire_digest": self.wire_digest, "plan_id": self.plan_id}
        return json.dumps({**asdict(self), **digests}, sort_keys=True, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Read what `to_json` wrote. Raises InvalidPlan when it is not a plan or its digests do not match it."""
        data = _json_object(text)
        claimed = {name: data.pop(name, None) for name in ("wire_digest", "plan_id")}
        plan = read_json(cls, json.dumps(data), InvalidPlan, "plan")
        for name, value in claimed.items():
            if value != getattr(plan, name):
                remedy = "plans are made by `isthmus partition`, not by hand"
                raise InvalidPlan(f"plan.{name}", "does not match the plan's contents", value=value, remedy=remedy)
        return plan


def wire_digest(
    model_digest: str, edge_ops: Iterable[str], boundary: Iterable[WireTensor], downlink: Iterable[WireTensor]
) -> str:
    """What `Plan.wire_digest` is, from the parts of an offered plan: both sides compute it and compare."""
    return _digest(
        {
            "model": model_digest,
            "edge_ops": sorted(edge_ops),
            "boundary": [_wire_form(tensor) for tensor in boundary],
            "downlink": [_wire_form(tensor) for tensor in downlink],
        }
    )


def _wire_form(tensor: WireTensor) -> tuple[str, str, dict[str, str]]:
    return (tensor.tensor, tensor.codec, dict(sorted(tensor.parameters.items())))


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:_DIGEST_DIGITS]


def _json_object(text: str | bytes) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InvalidPlan("plan", f"is not JSON: {fault}") from None
    if not isinstance(data, dict):
        raise InvalidPlan("plan", "is not a JSON object")
    return data
