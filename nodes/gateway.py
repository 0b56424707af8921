"""The public front of an edge node, free of transport: what a request is, what a result is, what a model looks like."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from nodes.datatypes import datatype_of_dtype
from nodes.inputs import ModelInputs
from partitioner.plan import Prediction

__all__ = [
    "UNDECIDED",
    "Decided",
    "Gateway",
    "InferRequest",
    "InferResult",
    "ModelDescription",
    "ModelState",
    "StageTimings",
    "TensorDescription",
    "new_request_id",
]


class Decided(NamedTuple):
    """By whom, and for which kind of plan, as metrics tell it: nothing that clients make up.

    policy: whose turn it was, also where no plan came of it. plan_kind: that of UNDECIDED where none did.
    """

    policy: str
    plan_kind: str


UNDECIDED = Decided("none", "none")
"""Of a request that failed before anybody was to decide for it, or that named a policy that there is not."""


def _untold(decided: Decided) -> None:
    """Nobody counts."""


class InferRequest(NamedTuple):
    """One request, checked. timeout_s: time left on arrival, None without a deadline; priority: 1 first, 0 default.

    policy and plan_id: what the request asks for, "" for the configured policy. request_class: the client's word for
    what kind of request it is, "" for none. client: whose it is, for a fair share. traceparent: of its span (W3C Trace
    Context), "" where none is made. request_id: by which operators ask for it, see `new_request_id`; "" for one that
    the node makes. asked_s: the client's own timeout, once `timeout_s` is that of whoever decides, where that is less;
    None for none. canary: whether that is the canary. decided: told who chose which kind of plan, or, where
    there is none, whose turn it was, so that who counts a failure knows of what.
    """

    model: str
    inputs: ModelInputs
    timeout_s: float | None = None
    priority: int = 0
    policy: str = ""
    plan_id: str = ""
    request_class: str = ""
    client: str = ""
    traceparent: str = ""
    request_id: str = ""
    decided: Callable[[Decided], None] = _untold
    asked_s: float | None = None
    canary: bool = False


def new_request_id() -> str:
    """A request's name, which no other one has and nobody can guess."""
    return secrets.token_hex(16)


class StageTimings(NamedTuple):
    """Where a request's time went, in seconds. The stages are disjoint and sum to the gateway's elapsed time."""

    edge_queue_s: float
    edge_s: float
    uplink_s: float
    cloud_queue_s: float
    cloud_s: float
    downlink_s: float

    @property
    def total_s(self) -> float:
        """The elapsed time."""
        return self.edge_queue_s + self.edge_s + self.uplink_s + self.cloud_queue_s + self.cloud_s + self.downlink_s


@dataclass(frozen=True, slots=True)
class InferResult:
    """The answer: outputs by name in the model's order, the plan that made them, where the time went, and why.

    predicted: by stage, waits included. plan_kind: "edge-only", "cloud-only" or "split". policy: who chose the plan.
    finished_by: "cloud", or "edge" when the edge computed everything (by plan, or
    because the cloud did not answer). waited_s: for its turn, before anything was predicted; a part of edge_queue_s.
    """

    request_id: str
    outputs: tuple[tuple[str, torch.Tensor], ...]
    plan_id: str
    timings: StageTimings
    wire_bytes: int
    finished_by: str
    reason: str
    predicted: Prediction
    plan_kind: str
    policy: str
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TensorDescription:
    """An input or output as clients see it: the batch dimension is -1. accepts_files: BYTES, one file an item, too.

    labels: of the classes that an output ranks, where the model has such.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    accepts_files: bool = False
    labels: tuple[str, ...] = ()

    def bytes_at(self, batch: int) -> int:
        """Of the tensor of so many items. Raises InvalidRequest for a dtype that the protocol cannot carry."""
        items = math.prod(batch if size < 0 else size for size in self.shape)
        return items * datatype_of_dtype(self.dtype).item_bytes


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model as clients see it. version: the first characters of its digest."""

    name: str
    version: str
    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]
    max_batch: int


@dataclass(frozen=True, slots=True)
class ModelState:
    """A configured model. state: "READY", "LOADING" or "UNAVAILABLE". version: "" unless it is ready. cloud_required:
    whether the edge must not run it alone, False also where it is not loaded and nobody knows."""

    name: str
    version: str
    state: str
    reason: str = ""
    cloud_required: bool = False


class Gateway(Protocol):
    """What serves requests: the edge node."""

    def ready(self) -> bool:
        """Whether every loaded model answers."""

    def describe_model(self, name: str) -> ModelDescription:
        """A loaded model. Raises NotFound."""

    def models(self) -> tuple[ModelState, ...]:
        """Every configured model, loaded or not, in the configuration's order."""

    async def load_model(self, name: str) -> None:
        """Serve a configured model again; one that is served already goes on. Raises NotFound, Unavailable."""

    async def unload_model(self, name: str) -> None:
        """Stop serving a configured model and let go of it; what was accepted is answered. Raises NotFound."""

    async def infer(self, request: InferRequest) -> InferResult:
        """Answer one request, exactly once: a result or an IsthmusError."""
