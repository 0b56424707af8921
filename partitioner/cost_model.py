"""From a model, two measured devices and a link to a `CutProblem` on plain numbers.

In the "bytes" form an input that declares preprocessing gets a pseudo-op before it that decodes and preprocesses its
file: in the cloud, the file crosses as it arrived (codec "file"); on the edge, the tensor it made may cross by any
codec, png included. Pseudo-ops are taken out of every result (`ModelCosts.model_ops`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from isthmus.errors import InvalidInput
from partitioner.codec_choice import DEFAULT_CODECS, CodecQuote, CodecSize, quickest_codec, quotes_for, sizes_allowed
from partitioner.cut_problem import CutProblem, OpCost, TensorCost
from partitioner.graph import ModelGraph, TensorInfo
from partitioner.link import Link
from partitioner.plan import InputForm
from partitioner.profiles import DeviceProfile
from partitioner.spec import Interface

__all__ = ["Costing", "FileFacts", "ModelCosts", "ModelFacts", "cut_problem", "model_costs"]

_PREPROCESS = "preprocess:"
_FILE = "file:"


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

    lossless: only codecs that keep every bit. private_input: model inputs and their files never leave the edge.
    batch: items a request. cloud_load: factor on the cloud's compute times (1.0: idle).
    """

    form: InputForm = "tensor"
    codecs: tuple[CodecSize, ...] = DEFAULT_CODECS
    lossless: bool = True
    private_input: bool = False
    file: FileFacts = FileFacts()
    batch: int = 1
    cloud_load: float = 1.0

    def __post_init__(self) -> None:
        if self.form not in ("tensor", "bytes"):
            raise InvalidInput("form", "is not an input form", value=self.form, remedy='use "tensor" or "bytes"')
        if self.batch < 1:
            raise InvalidInput("batch", "must be 1 or more", value=self.batch)
        if not (math.isfinite(self.cloud_load) and self.cloud_load > 0):
            raise InvalidInput("cloud_load", "must be above zero", value=self.cloud_load)


@dataclass(frozen=True, slots=True)
class ModelCosts:
    """A problem and the facts behind its numbers.

    uplink, downlink: the codecs open to each tensor, either way; `problem` holds the quickest.
    edge_s, cloud_s: of every op, pseudo-ops included. file_inputs: the inputs that have a pseudo-op.
    """

    problem: CutProblem
    uplink: Mapping[str, tuple[CodecQuote, ...]]
    downlink: Mapping[str, tuple[CodecQuote, ...]]
    edge_s: Mapping[str, float]
    cloud_s: Mapping[str, float]
    file_inputs: tuple[str, ...]

    def model_ops(self, edge_ops: Iterable[str]) -> frozenset[str]:
        """The real ops of a solution of `problem`."""
        return frozenset(op for op in edge_ops if not op.startswith(_PREPROCESS))

    def files_crossing(self, edge_ops: frozenset[str]) -> tuple[str, ...]:
        """The inputs whose files cross as they arrived under a solution of `problem`."""
        return tuple(name for name in self.file_inputs if _PREPROCESS + name not in edge_ops)

    def with_preprocessing(self, edge_ops: Iterable[str], cloud_files: Iterable[str] = ()) -> frozenset[str]:
        """Model ops as a cut of `problem`, preprocessing on the edge but for the inputs in `cloud_files`."""
        in_cloud = set(cloud_files)
        return frozenset(edge_ops) | {_PREPROCESS + name for name in self.file_inputs if name not in in_cloud}


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

    def build(self) -> ModelCosts:
        """The costs of everything, by the rules of `model_costs`."""
        files = tuple(self._file_inputs())
        uplink = {name: self._uplink_quotes(tensor) for name, tensor in self.model.graph.tensors.items()}
        downlink = {name: self._downlink_quotes(tensor) for name, tensor in self._made_outputs()}
        edge_s, cloud_s = self._op_seconds(files)
        tensors = [self._tensor_cost(tensor, uplink, downlink) for tensor in self.model.graph.tensors.values()]
        problem = CutProblem(
            ops=[OpCost(name, seconds, cloud_s[name]) for name, seconds in edge_s.items()],
            tensors=[*(self._file_cost(name) for name in files), *tensors],
            fixed_s=self.link.rtt_s,
        )
        return ModelCosts(problem, uplink, downlink, edge_s, cloud_s, files)

    def _file_inputs(self) -> Iterator[str]:
        if self.costing.form == "bytes":
            yield from (spec.name for spec in self.model.interface.inputs if spec.preprocessing is not None)

    def _made_outputs(self) -> Iterator[tuple[str, TensorInfo]]:
        tensors = self.model.graph.tensors
        return ((name, t) for name, t in tensors.items() if t.is_output and t.producer is not None)

    def _op_seconds(self, files: tuple[str, ...]) -> tuple[Mapping[str, float], Mapping[str, float]]:
        graph, batch, load = self.model.graph, self.costing.batch, self.costing.cloud_load
        edge_s = {_PREPROCESS + name: self._preprocessing_s(self.edge) for name in files}
        cloud_s = {_PREPROCESS + name: self._preprocessing_s(self.cloud) * load for name in files}
        on_edge = self.edge.op_seconds(graph, self.model.digest, batch)
        in_cloud = self.cloud.op_seconds(graph, self.model.digest, batch)
        return {**edge_s, **on_edge}, {**cloud_s, **{name: s * load for name, s in in_cloud.items()}}

    def _preprocessing_s(self, device: DeviceProfile) -> float:
        one = device.preprocessing_fixed_s + device.preprocessing_s_per_pixel * self.costing.file.pixels
        return one * self.costing.batch

    def _uplink_quotes(self, tensor: TensorInfo) -> tuple[CodecQuote, ...]:
        picture = tensor.name in self._file_inputs()
        sizes = sizes_allowed(self.costing.codecs, lossless=self.costing.lossless)
        rates = (self.edge.codec_rates, self.cloud.codec_rates)
        return quotes_for(tensor, sizes, rates, self.link.uplink_bps, picture=picture, batch=self.costing.batch)

    def _downlink_quotes(self, tensor: TensorInfo) -> tuple[CodecQuote, ...]:
        sizes = sizes_allowed(self.costing.codecs, lossless=True)
        rates = (self.cloud.codec_rates, self.edge.codec_rates)
        return quotes_for(tensor, sizes, rates, self.link.downlink_bps, batch=self.costing.batch)

    def _tensor_cost(
        self,
        tensor: TensorInfo,
        uplink: Mapping[str, tuple[CodecQuote, ...]],
        downlink: Mapping[str, tuple[CodecQuote, ...]],
    ) -> TensorCost:
        is_input = tensor.name in self.model.graph.inputs
        producer = _PREPROCESS + tensor.name if tensor.name in self._file_inputs() else tensor.producer
        uplink_s = math.inf if is_input and self.costing.private_input else _quickest_s(uplink[tensor.name], tensor)
        # An input that is also an output is answered from the edge's own copy: its file must be decoded there.
        downlink_s = _quickest_s(downlink[tensor.name], tensor) if tensor.name in downlink else math.inf
        return TensorCost(tensor.name, producer, tensor.consumers, uplink_s, tensor.is_output, downlink_s)

    def _file_cost(self, name: str) -> TensorCost:
        size_bytes = self.costing.file.size_bytes * self.costing.batch
        uplink_s = math.inf if self.costing.private_input else self.link.uplink_s(size_bytes)
        return TensorCost(_FILE + name, None, (_PREPROCESS + name,), uplink_s)


def _quickest_s(quotes: tuple[CodecQuote, ...], tensor: TensorInfo) -> float:
    return quickest_codec(quotes, tensor.name).total_s
