"""From a model, two measured devices and a link to a `CutProblem` on plain numbers.

In the "bytes" form an input that declares preprocessing gets a pseudo-op before it that decodes and preprocesses its
file: in the cloud, the file crosses as it arrived (codec "file"); on the edge, the tensor it made may cross by any
codec, png included. Pseudo-ops are taken out of every result (`ModelCosts.model_ops`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from isthmus.errors import InvalidInput
from partitioner.accuracy_rule import AccuracyRule
from partitioner.codec_choice import (
    DEFAULT_CODECS,
    FILE_CODEC,
    CodecQuote,
    CodecSize,
    quickest_codec,
    quotes_for,
    sizes_allowed,
)
from partitioner.constraints import Constraints
from partitioner.cut_problem import CutProblem, OpCost, TensorCost
from partitioner.graph import ModelGraph, TensorInfo
from partitioner.link import Link
from partitioner.plan import InputForm
from partitioner.profiles import DeviceProfile
from partitioner.pseudo_names import FILE, PREPROCESS
from partitioner.raw_tensors import raw_tensors
from partitioner.spec import Interface

__all__ = ["Costing", "FileFacts", "ModelCosts", "ModelFacts", "cut_problem", "model_costs"]

# Beyond it sums of times would lose their digits.
_LEAST_LOAD = 1e-6


class ModelFacts(Protocol):
    """What costs need to know of a model; `partitioner.model.Model` is one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def digest(self) -> str:
        """Over its canonical contents."""

    @property
    def graph(self) -> ModelGraph:
        """Its ops and tensors."""

    @property
    def interface(self) -> Interface:
        """Its inputs with their preprocessing."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The encoded file that a request of the "bytes" form is expected to bring: its length and its picture's pixels."""

    size_bytes: int = 100_000
    pixels: int = 640 * 480


@dataclass(frozen=True, slots=True)
class Costing:
    """What is allowed and assumed when costs are made.

    lossless: only codecs that keep every bit. private_input: model inputs never leave the edge, nor do their files, nor
    what still shows them as they came (`raw_tensors`).
    accuracy: which lossy codecs a tensor may take besides (all without).
    constraints: what a plan must keep to besides; costs do not depend on them.
    batch: items a request. edge_load, cloud_load: factors on all that a side computes, coding included (1.0: idle).
    """

    form: InputForm = "tensor"
    codecs: tuple[CodecSize, ...] = DEFAULT_CODECS
    lossless: bool = True
    private_input: bool = False
    file: FileFacts = FileFacts()
    batch: int = 1
    edge_load: float = 1.0
    cloud_load: float = 1.0
    accuracy: AccuracyRule | None = field(default=None, hash=False)
    constraints: Constraints = field(default_factory=Constraints)

    def __post_init__(self) -> None:
        if self.form not in ("tensor", "bytes"):
            raise InvalidInput("form", "is not an input form", value=self.form, remedy='use "tensor" or "bytes"')
        if self.batch < 1:
            raise InvalidInput("batch", "must be 1 or more", value=self.batch)
        for name in ("edge_load", "cloud_load"):
            load = getattr(self, name)
            if not _LEAST_LOAD <= load <= 1.0 / _LEAST_LOAD:
                problem = f"must be from {_LEAST_LOAD:g} to {1.0 / _LEAST_LOAD:g}"
                raise InvalidInput(name, problem, value=load, remedy="1 is an idle device, 2 one half as quick")

    @property
    def budget(self) -> AccuracyRule | None:
        """What lossy codecs must keep to; None where none is allowed anyway, and where all are."""
        return None if self.lossless else self.accuracy


@dataclass(frozen=True, slots=True)
class ModelCosts:
    """A problem and the facts behind its numbers.

    uplink, downlink: the codecs open to each tensor, either way; `problem` holds the quickest. Files are among them.
    edge_s, cloud_s: of every op, pseudo-ops included. file_inputs: the inputs that have a pseudo-op.
    private: the tensors that must not cross.
    """

    problem: CutProblem
    uplink: Mapping[str, tuple[CodecQuote, ...]]
    downlink: Mapping[str, tuple[CodecQuote, ...]]
    edge_s: Mapping[str, float]
    cloud_s: Mapping[str, float]
    file_inputs: tuple[str, ...]
    private: frozenset[str]

    def model_ops(self, edge_ops: Iterable[str]) -> frozenset[str]:
        """The real ops of a solution of `problem`."""
        return frozenset(op for op in edge_ops if not op.startswith(PREPROCESS))

    def files_crossing(self, edge_ops: frozenset[str]) -> tuple[str, ...]:
        """The inputs whose files cross as they arrived under a solution of `problem`."""
        return tuple(name for name in self.file_inputs if PREPROCESS + name not in edge_ops)

    def file_quote(self, name: str) -> CodecQuote:
        """The file of that input as it arrived: its decoding is the pseudo-op's time."""
        return self.uplink[FILE + name][0]

    def with_preprocessing(self, edge_ops: Iterable[str], cloud_files: Iterable[str] = ()) -> frozenset[str]:
        """Model ops as a cut of `problem`, preprocessing on the edge but for the inputs in `cloud_files`."""
        in_cloud = set(cloud_files)
        return frozenset(edge_ops) | {PREPROCESS + name for name in self.file_inputs if name not in in_cloud}


def cut_problem(
    model: ModelFacts, edge: DeviceProfile, cloud: DeviceProfile, link: Link, costing: Costing = Costing()
) -> CutProblem:
    """The cut problem of a model's latency between two devices over a link."""
    return model_costs(model, edge, cloud, link, costing).problem


def model_costs(
    model: ModelFacts, edge: DeviceProfile, cloud: DeviceProfile, link: Link, costing: Costing = Costing()
) -> ModelCosts:
    """The cut problem with what it was made of.

    uplink_s of a tensor: the least over the allowed codecs of encoding + bytes/bandwidth + decoding; downlink_s of an
    output likewise; fixed_s: the round trip. Raises InvalidInput when no allowed codec carries a tensor.
    """
    return _Builder(model, edge, cloud, link, costing).build()


@dataclass(frozen=True, slots=True)
class _Builder:
    model: ModelFacts
    edge: DeviceProfile
    cloud: DeviceProfile
    link: Link
    costing: Costing
    sizes: Mapping[str, list[CodecSize]] = field(init=False)

    def __post_init__(self) -> None:
        # By tensor: hundreds of them may each have some of their own, and all are looked at for every tensor.
        sizes: defaultdict[str, list[CodecSize]] = defaultdict(list)
        for size in self.costing.codecs:
            sizes[size.tensor].append(size)
        object.__setattr__(self, "sizes", sizes)

    def build(self) -> ModelCosts:
        """The costs of everything, by the rules of `model_costs`."""
        files = tuple(self._file_inputs())
        graph = self.model.graph
        private = raw_tensors(graph) | {FILE + name for name in files} if self.costing.private_input else frozenset()
        uplink: dict[str, tuple[CodecQuote, ...]] = {FILE + name: (self._file_quote(),) for name in files}
        uplink |= {name: self._uplink_quotes(tensor) for name, tensor in graph.tensors.items()}
        downlink = {name: self._downlink_quotes(tensor) for name, tensor in self._made_outputs()}

        def uplink_s(name: str) -> float:
            return math.inf if name in private else quickest_codec(uplink[name], name).total_s

        edge_s, cloud_s = self._op_seconds(files)
        tensors = [
            *(TensorCost(FILE + name, None, (PREPROCESS + name,), uplink_s(FILE + name)) for name in files),
            *(self._tensor_cost(tensor, uplink_s(tensor.name), downlink) for tensor in graph.tensors.values()),
        ]
        ops = [OpCost(name, seconds, cloud_s[name]) for name, seconds in edge_s.items()]
        problem = CutProblem(ops, tensors, self.link.rtt_s)
        return ModelCosts(problem, uplink, downlink, edge_s, cloud_s, files, private)

    def _file_inputs(self) -> Iterator[str]:
        if self.costing.form == "bytes":
            yield from (spec.name for spec in self.model.interface.inputs if spec.preprocessing is not None)

    def _made_outputs(self) -> Iterator[tuple[str, TensorInfo]]:
        tensors = self.model.graph.tensors
        return ((name, t) for name, t in tensors.items() if t.is_output and t.producer is not None)

    def _op_seconds(self, files: tuple[str, ...]) -> tuple[Mapping[str, float], Mapping[str, float]]:
        costing = self.costing
        edge_s = {PREPROCESS + name: self._preprocessing_s(self.edge) for name in files}
        cloud_s = {PREPROCESS + name: self._preprocessing_s(self.cloud) for name in files}
        edge_s |= self.edge.op_seconds(self.model.graph, self.model.digest, costing.batch)
        cloud_s |= self.cloud.op_seconds(self.model.graph, self.model.digest, costing.batch)
        return (
            {name: seconds * costing.edge_load for name, seconds in edge_s.items()},
            {name: seconds * costing.cloud_load for name, seconds in cloud_s.items()},
        )

    def _preprocessing_s(self, device: DeviceProfile) -> float:
        one = device.preprocessing_fixed_s + device.preprocessing_s_per_pixel * self.costing.file.pixels
        return one * self.costing.batch

    def _file_quote(self) -> CodecQuote:
        item_bytes = self.costing.file.size_bytes
        size_bytes = item_bytes * self.costing.batch
        size = CodecSize(FILE_CODEC, 0.0, True, "expected file length", "picture", size_bytes)
        return CodecQuote(size, size_bytes, item_bytes, 0.0, self.link.uplink_s(size_bytes), 0.0)

    def _uplink_quotes(self, tensor: TensorInfo) -> tuple[CodecQuote, ...]:
        picture = tensor.name in self._file_inputs()
        sizes = self._sizes(tensor, lossless=self.costing.lossless)
        rates = (self.edge.codec_rates, self.cloud.codec_rates)
        accuracy = self.costing.accuracy
        if accuracy is not None:
            sizes = tuple(s for s in sizes if s.lossless or accuracy.allows(tensor.name, s.codec, s.parameters))
        quotes = quotes_for(tensor, sizes, rates, self.link.uplink_bps, picture=picture, batch=self.costing.batch)
        return tuple(quote.loaded(self.costing.edge_load, self.costing.cloud_load) for quote in quotes)

    def _sizes(self, tensor: TensorInfo, *, lossless: bool) -> tuple[CodecSize, ...]:
        """The allowed ones that are about any tensor or about this one."""
        return sizes_allowed((*self.sizes.get("", ()), *self.sizes.get(tensor.name, ())), lossless=lossless)

    def _downlink_quotes(self, tensor: TensorInfo) -> tuple[CodecQuote, ...]:
        sizes = self._sizes(tensor, lossless=True)
        rates = (self.cloud.codec_rates, self.edge.codec_rates)
        quotes = quotes_for(tensor, sizes, rates, self.link.downlink_bps, batch=self.costing.batch)
        return tuple(quote.loaded(self.costing.cloud_load, self.costing.edge_load) for quote in quotes)

    def _tensor_cost(
        self, tensor: TensorInfo, uplink_s: float, downlink: Mapping[str, tuple[CodecQuote, ...]]
    ) -> TensorCost:
        producer = PREPROCESS + tensor.name if tensor.name in self._file_inputs() else tensor.producer
        # An input that is also an output is answered from the edge's own copy: its file must be decoded there.
        made = tensor.name in downlink
        downlink_s = quickest_codec(downlink[tensor.name], tensor.name).total_s if made else math.inf
        return TensorCost(tensor.name, producer, tensor.consumers, uplink_s, tensor.is_output, downlink_s)
