"""The two halves of one plan, ready to run: inputs to boundary tensors on the edge, those to outputs in the cloud.

Both are blocking and belong in a `ComputePool`. Each stage is timed on its own clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from isthmus.errors import InvalidPlan, InvalidRequest
from nodes.codecs.base import EncodedTensor, encoded_bytes
from nodes.engines.base import Engine
from nodes.engines.slowdown import run_slowed
from nodes.inputs import ModelInputs
from nodes.joined_run import join_axes
from nodes.limits import CLOUD_LIMITS, EDGE_LIMITS, NodeLimits
from nodes.plan_codecs import PlanCodecs
from nodes.preprocessing import ImageBatch, preprocess
from nodes.protocol.events import WireCodec
from nodes.staged_prefix import Stage, stages_of
from partitioner.measurements import digest_of_ops
from partitioner.model import Model

__all__ = ["CloudHalf", "CloudOutcome", "EdgeHalf", "EdgeOutcome", "Offer"]

Tensors = Mapping[str, torch.Tensor]
Offer = Callable[[EncodedTensor], None]


@dataclass(frozen=True, slots=True)
class EdgeOutcome:
    """What the edge's half left: encoded tensors for the cloud, or pieces of them, and all that it takes to finish
    without the cloud.

    boundary holds tensors by name, or the image files of an input that crossed as files, until the answer is in.
    """

    encoded: tuple[EncodedTensor, ...]
    boundary: Mapping[str, torch.Tensor | ImageBatch]
    kept: Tensors
    compute_s: float

    @property
    def wire_bytes(self) -> int:
        """Encoded bytes of all tensors."""
        return encoded_bytes(self.encoded)

    @property
    def held_bytes(self) -> int:
        """Bytes of all that is kept until the answer is in."""
        values = ({**self.boundary, **self.kept}).values()
        return self.wire_bytes + sum(v.size_bytes if isinstance(v, ImageBatch) else v.nbytes for v in values)


class CloudOutcome(NamedTuple):
    """The cloud-made outputs, encoded, and the time of each stage."""

    encoded: tuple[EncodedTensor, ...]
    decode_s: float
    suffix_s: float
    encode_s: float


class EdgeHalf:
    """The edge's half of a plan: preprocess, prefix, encode; later, finish from the cut if the cloud does not."""

    def __init__(
        self,
        model: Model,
        edge_ops: Sequence[str],
        uplink: Sequence[WireCodec],
        downlink: Sequence[WireCodec],
        engine: Engine,
        slowdown: float = 1.0,
        limits: NodeLimits = EDGE_LIMITS,
        early: Sequence[int] = (),
    ) -> None:
        """slowdown: emulated, and applied to everything that the edge does; the engine itself runs at full speed.
        early: after how many boundary tensors `run` is to stop and offer them; only an engine that runs op by op does,
        others offer what is encoded before the rest.

        axes: how the prefix of several requests can run as one, None where it cannot.
        """
        self._segments = model.split(edge_ops)
        self._inputs = model.graph.inputs
        self.model_digest, self.engine = model.digest, engine.name
        self._outputs = model.graph.outputs
        self._names = tuple(output.name for output in model.interface.outputs)
        self._interface = model.interface
        self._tensors = model.graph.tensors
        self.slowdown = slowdown
        # An output that no op makes (an input handed through, a constant) comes from the prefix too.
        self._has_prefix = bool(edge_ops) or bool(self._segments.kept)
        self.prefix = engine.load(self._segments.prefix)
        self._suffix = engine.load(self._segments.suffix)
        names = (*self._segments.boundary, *self._segments.kept)
        self.axes = join_axes(model.graph.tensors, self._inputs, names) if self._has_prefix else None
        self.cut = digest_of_ops(edge_ops)
        self._uplink, self._downlink = PlanCodecs(model, uplink, limits), PlanCodecs(model, downlink, limits)
        held = {*names} - self._uplink.files
        self._held = tuple(self._tensors[name] for name in held)
        self.early = tuple(early) if self._has_prefix and not self._uplink.files else ()
        if self.early and engine.name == "eager":
            self._stages = stages_of(model, edge_ops, engine, self.early)
        else:
            self._stages = (Stage(self.prefix, self._inputs, names, self.crossing),) if self._has_prefix else ()
        self._pieces: dict[int, int] = {}  # by batch

    @property
    def crossing(self) -> int:
        """How many boundary tensors there are."""
        return len(self._uplink.names)

    def pieces(self, batch: int) -> int:
        """How many `run` makes of the boundary where it offers them: one of a tensor, several of a large one."""
        known = self._pieces.get(batch)
        if known is None:
            large = not self._uplink.files
            known = sum(self._uplink.pieces(name, batch) for name in self._uplink.names) if large else self.crossing
            self._pieces[batch] = known
        return known

    def offers(self, batch: int) -> bool:
        """Whether `run` offers some of them before all are made."""
        return bool(self.early) or self.pieces(batch) > self.crossing

    @property
    def file_inputs(self) -> tuple[str, ...]:
        """Inputs that cross as files."""
        return tuple(name for name in self._uplink.names if name in self._uplink.files)

    def kept_bytes(self, batch: int, file_bytes: int) -> int:
        """What an outcome holds besides its encoded tensors, of a request with so many items and bytes of files."""
        tensors = sum([tensor.bytes_at(batch) for tensor in self._held])
        return tensors + (file_bytes if self._uplink.files else 0)

    def run(self, inputs: ModelInputs, offer: Offer | None = None) -> EdgeOutcome:
        """Everything up to the wire. Raises InvalidRequest for a file that is not an image, ComputeFailed.

        offer: called with encoded tensors, in the plan's order, and pieces of large ones, before all are made; the last
        one is never offered.
        """
        started = time.perf_counter()
        if offer is not None and self.offers(inputs.batch):
            outcome = self._run_in_stages(inputs, offer)
        else:
            outcome = run_slowed(self.slowdown, self._run, inputs)
        return EdgeOutcome(outcome.encoded, outcome.boundary, outcome.kept, time.perf_counter() - started)

    def _run(self, inputs: ModelInputs) -> EdgeOutcome:
        values = dict(inputs.values)
        made = self.prefix(*self.tensors(values)) if self._has_prefix else ()
        return self.outcome(values, made)

    def _run_in_stages(self, inputs: ModelInputs, offer: Offer) -> EdgeOutcome:
        values, encoded = dict(inputs.values), list[EncodedTensor]()
        tensors = run_slowed(self.slowdown, self.tensors, values)
        made, last = dict(zip(self._inputs, tensors, strict=True)), self.pieces(inputs.batch)

        def encode(names: Sequence[str]) -> None:
            for name in names:
                pieces = self._uplink.encode_pieces(name, made[name], inputs.batch)
                while (piece := run_slowed(self.slowdown, next, pieces, None)) is not None:
                    encoded.append(piece)
                    if len(encoded) < last:
                        offer(piece)

        sent = 0
        for stage in self._stages:
            run_slowed(self.slowdown, stage, made)
            encode(self._uplink.names[sent : stage.crossing])
            sent = stage.crossing
        encode(self._uplink.names[sent:])
        crossing, apart = self._uplink.names, self._segments.kept
        boundary, kept = ({name: self._own(name, made[name]) for name in names} for names in (crossing, apart))
        return EdgeOutcome(tuple(encoded), boundary, kept, 0.0)

    def tensors(self, values: dict[str, torch.Tensor | ImageBatch]) -> tuple[torch.Tensor, ...]:
        """What the prefix takes, in its order; files are preprocessed, and replaced in `values` where they end here."""
        return tuple([self._tensor(name, values) for name in self._inputs])

    def outcome(self, values: dict[str, torch.Tensor | ImageBatch], made: tuple[torch.Tensor, ...]) -> EdgeOutcome:
        """Encoded for the wire: `made` by the prefix (nothing where the cut has none) and inputs that cross."""
        crossing = len(self._segments.boundary)
        boundary: dict[str, torch.Tensor | ImageBatch] = {}
        kept: dict[str, torch.Tensor] = {}
        if self._has_prefix:
            names = (*self._segments.boundary, *self._segments.kept)
            own = [self._own(name, tensor) for name, tensor in zip(names, made, strict=True)]
            boundary |= zip(self._segments.boundary, own[:crossing], strict=True)
            kept |= zip(self._segments.kept, own[crossing:], strict=True)
        for name in self._uplink.names:
            if name in values:
                files = isinstance(values[name], ImageBatch) and name in self._uplink.files
                boundary[name] = values[name] if files else self._tensor(name, values)
        return EdgeOutcome(self._uplink.encode(boundary), boundary, kept, 0.0)

    def _own(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Of memory of its own, where it is a part of something larger that would be kept with it: of what several
        requests made together, say."""
        part = name not in self._inputs and tensor.untyped_storage().nbytes() > tensor.nbytes
        return tensor.clone() if part else tensor

    def _tensor(self, name: str, values: dict[str, torch.Tensor | ImageBatch]) -> torch.Tensor:
        """The input as the tensor that the model takes, preprocessed at most once."""
        value = values[name]
        if not isinstance(value, ImageBatch):
            return value
        spec = next(spec for spec in self._interface.inputs if spec.name == name)
        if spec.preprocessing is None:
            raise InvalidRequest(f"input {name}", "takes no files")
        tensor = preprocess(value, spec.preprocessing)
        if name not in self._uplink.files:
            values[name] = tensor
        return tensor

    def finish(
        self, outcome: EdgeOutcome, answer: Sequence[EncodedTensor], batch: int
    ) -> tuple[tuple[str, torch.Tensor], ...]:
        """The model's outputs in order, from what the edge kept and the cloud made. Raises InvalidRequest for an answer
        that does not fit the plan, TooLarge."""
        made = self._downlink.decode(answer, batch)
        values = (outcome.kept[name] if name in outcome.kept else made[name] for name in self._outputs)
        return tuple(zip(self._names, values, strict=True))

    def finish_locally(self, outcome: EdgeOutcome) -> tuple[tuple[str, torch.Tensor], ...]:
        """The model's outputs with the suffix computed here, from the boundary: resume from the cut."""
        return run_slowed(self.slowdown, self._finish_locally, outcome)

    def _finish_locally(self, outcome: EdgeOutcome) -> tuple[tuple[str, torch.Tensor], ...]:
        values = dict(outcome.boundary)
        boundary = [self._tensor(name, values) for name in self._segments.boundary]
        kept = [outcome.kept[name] for name in self._segments.kept]
        return tuple(zip(self._names, self._suffix(*boundary, *kept), strict=True))


class CloudHalf:
    """The cloud's half of a plan: decode, suffix, encode."""

    def __init__(
        self,
        model: Model,
        edge_ops: Sequence[str],
        uplink: Sequence[WireCodec],
        downlink: Sequence[WireCodec],
        engine: Engine,
        limits: NodeLimits = CLOUD_LIMITS,
    ) -> None:
        """Raises InvalidPlan when edge_ops is not a cut of the model or the codecs do not fit its boundary.

        axes: how the suffix of several requests can run as one, None where it cannot.
        """
        self._segments = model.split(edge_ops)
        self.suffix = engine.load(self._segments.cloud)
        self.model_digest, self.engine, self.cut = model.digest, engine.name, digest_of_ops(edge_ops)
        self.axes = join_axes(model.graph.tensors, self._segments.boundary, self._segments.returned)
        self._uplink, self._downlink = PlanCodecs(model, uplink, limits), PlanCodecs(model, downlink, limits)
        _check_names("uplink", self._uplink.names, self._segments.boundary)
        _check_names("downlink", self._downlink.names, self._segments.returned)

    def run(self, encoded: Sequence[EncodedTensor], batch: int) -> CloudOutcome:
        """Decode, compute, encode. Raises InvalidRequest for tensors that do not fit the plan, ComputeFailed."""
        started = time.perf_counter()
        boundary = self.decode(encoded, batch)
        decoded = time.perf_counter()
        outputs = self.suffix(*boundary)
        computed = time.perf_counter()
        answer = self.encode(outputs)
        return CloudOutcome(answer, decoded - started, computed - decoded, time.perf_counter() - computed)

    def decode(self, encoded: Sequence[EncodedTensor], batch: int) -> tuple[torch.Tensor, ...]:
        """What the suffix takes, in its order. Raises InvalidRequest for tensors that do not fit the plan."""
        boundary = self._uplink.decode(encoded, batch)
        return tuple(boundary[name] for name in self._segments.boundary)

    def encode(self, outputs: tuple[torch.Tensor, ...]) -> tuple[EncodedTensor, ...]:
        """What the suffix made, for the wire."""
        return self._downlink.encode(dict(zip(self._segments.returned, outputs, strict=True)))


def _check_names(direction: str, given: Sequence[str], expected: Sequence[str]) -> None:
    if tuple(given) != tuple(expected):
        raise InvalidPlan(f"plan {direction}", f"the cut sends {list(expected)}", value=list(given))
