"""Whatever a peer, a client or a file can make this product read, one target each: sound data recorded from the real
writers, a way to spoil it, and the reader. A reader may answer or raise a declared error (`isthmus.errors`); a message
that protobuf itself refuses never reaches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from google.protobuf.message import DecodeError, Message
from torch import nn

from benchmarks.fuzz_mutation import Mutator
from isthmus.errors import IsthmusError
from isthmus.oip import open_inference_pb2 as oip
from isthmus.v1 import fleet_pb2
from isthmus.v1 import segment_pb2 as pb
from nodes.codecs.base import Decoder, EncodedTensor
from nodes.codecs.factory import codec, encodes_images, image_codec
from nodes.engines.eager import EagerEngine
from nodes.gateway import ModelDescription, TensorDescription
from nodes.halves import CloudHalf
from nodes.limits import EDGE_LIMITS
from nodes.model_runtime import plan_definition
from nodes.plan_shapes import cut_plan
from nodes.protocol.edge_stream import EdgeStream
from nodes.protocol.events import PlanDefinition, WireCodec
from nodes.transport.caller import Caller
from nodes.transport.fleet_messages import replica_from_message, view_from_message
from nodes.transport.infer_messages import read_request
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.spec import ImagePreprocessing

__all__ = [
    "PICTURES",
    "REFUSED",
    "Branched",
    "Codecs",
    "Fleet",
    "Offers",
    "Requests",
    "Target",
    "offered",
    "small_model",
    "spoilt",
]

MOST_DECODED_BYTES = 1 << 22
PICTURES = ImagePreprocessing(8, 8, 10)


class Target(Protocol):
    """One reader and what it is given."""

    name: str

    def run(self, mutator: Mutator) -> None:
        """One case. Raises what the reader does, DecodeError where no message came about."""


def spoilt(message: Message, mutator: Mutator) -> bytes:
    """A message with a fault inside one of its fields, or in its bytes."""
    if mutator.often(0.6):
        changed = type(message)()
        changed.CopyFrom(message)
        for _ in range(mutator.rng.choice((1, 1, 2, 4))):
            mutator.message(changed)
        return changed.SerializeToString()
    return mutator.data(message.SerializeToString())


class Branched(nn.Module):
    """Two layers and a branch: cuts of several kinds. width: of its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, width), nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of both ways, through the last layer."""
        y = self.first(x)
        made: torch.Tensor = self.last(torch.relu(y) + y)
        return made


def small_model() -> Model:
    """A `Branched`, the same each time."""
    torch.manual_seed(0)
    return model_from_module(Branched(8).eval(), (torch.zeros(2, 8),), "branched")


# ---- plans and tensors ---------------------------------------------------------------------------------------------


def offered(model: Model, ops: int) -> PlanDefinition:
    """The plan of the first `ops` ops on the edge, as an edge offers it."""
    return plan_definition(cut_plan(model, tuple(op.name for op in model.graph.ops[:ops]), {}, "int8"))


def _recorded(plan: PlanDefinition) -> pb.PlanOffer:
    edge = EdgeStream("edge")
    edge.offer(plan)
    edge.next_frame(0.0)  # its hello
    frame = edge.next_frame(0.0)
    assert frame is not None
    return frame.offer


class Offers:
    """A plan that an edge offers, split by the cloud that takes its digest for right."""

    name = "plan offers"

    def __init__(self) -> None:
        self._model, self._engine = small_model(), EagerEngine()
        self._sound = [_recorded(offered(self._model, ops)) for ops in range(len(self._model.graph.ops))]

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        offer = pb.PlanOffer.FromString(spoilt(mutator.rng.choice(self._sound), mutator))
        uplink, downlink = (
            tuple(WireCodec(one.tensor, one.codec, dict(one.parameters)) for one in codecs)
            for codecs in (offer.uplink, offer.downlink)
        )
        CloudHalf(self._model, tuple(offer.edge_ops), uplink, downlink, self._engine)


class Codecs:
    """An encoded tensor with hostile header, parameters or data, for every codec."""

    name = "codecs"

    def __init__(self, sound: Sequence[tuple[EncodedTensor, Mapping[str, str]]]) -> None:
        """sound: messages and the parameters of the codec that made each."""
        self._sound = sound
        self._decoders = {id(encoded): _decoder(encoded.codec, parameters) for encoded, parameters in sound}

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        encoded, parameters = mutator.rng.choice(self._sound)
        decoder = self._decoders[id(encoded)]
        kind = mutator.rng.random()
        if kind < 0.6:
            encoded = replace(encoded, data=mutator.data(encoded.content))
        elif kind < 0.85:
            encoded = _spoilt_header(encoded, mutator)
        else:
            hostile = {name: mutator.text(value) for name, value in parameters.items()}
            if not hostile or mutator.often(0.3):
                hostile |= {mutator.text("quality"): mutator.text("90")}
            decoder = _decoder(encoded.codec, hostile)
        decoded = decoder.decode(encoded, MOST_DECODED_BYTES)
        assert tuple(decoded.shape) == encoded.shape
        assert decoded.nbytes <= MOST_DECODED_BYTES


def _decoder(name: str, parameters: Mapping[str, str]) -> Decoder:
    return image_codec(name, PICTURES, parameters) if encodes_images(name) else codec(name, parameters)


def _spoilt_header(encoded: EncodedTensor, mutator: Mutator) -> EncodedTensor:
    match mutator.rng.randrange(4):
        case 0:
            shape = mutator.order(encoded.shape)
            return replace(encoded, shape=tuple(mutator.whole(n) if mutator.often(0.4) else n for n in shape))
        case 1:
            dtype = mutator.rng.choice(
                ("float64", "bfloat16", "int8", "bool", "complex64", mutator.text(encoded.dtype))
            )
            return replace(encoded, dtype=dtype)
        case 2:
            order = mutator.order(encoded.stride_order)
            return replace(encoded, stride_order=tuple(mutator.whole(n) if mutator.often(0.2) else n for n in order))
        case _:
            return replace(encoded, data=encoded.data[: mutator.rng.randint(0, len(encoded.data))])


# ---- messages ------------------------------------------------------------------------------------------------------

_CALLER = Caller("127.0.0.1")
_SERVED = ModelDescription(
    "m", "0123456789ab",
    (TensorDescription("x", "float32", (-1, 3), accepts_files=True), TensorDescription("n", "int64", (-1,))),
    (TensorDescription("y", "float32", (-1, 3), labels=("cat", "dog", "cow")),),
    max_batch=8,
)  # fmt: skip


class Requests:
    """An inference request of the Open Inference Protocol."""

    name = "OIP requests"

    def __init__(self) -> None:
        raw, typed, files = (oip.ModelInferRequest(model_name="m", id="7") for _ in range(3))
        for request in (raw, typed, files):
            request.parameters["timeout"].int64_param = 1_000_000
            request.parameters["isthmus_policy"].string_param = "latency"
            request.outputs.add(name="y").parameters["classification"].int64_param = 2
            first, second = request.inputs.add(name="x"), request.inputs.add(name="n", datatype="INT64", shape=[2])
            first.datatype = "BYTES" if request is files else "FP32"
            first.shape.extend([2, 1] if request is files else [2, 3])
            if request is typed:
                first.contents.fp32_contents.extend([1.0] * 6)
                second.contents.int64_contents.extend([1, 2])
        raw.raw_input_contents.extend([bytes(24), bytes(16)])
        files.raw_input_contents.extend([b"\4\0\0\0abcd\2\0\0\0ef", bytes(16)])
        self._sound = (raw, typed, files)

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        message = oip.ModelInferRequest.FromString(spoilt(mutator.rng.choice(self._sound), mutator))
        request = read_request(_SERVED, message, mutator.rng.choice((None, 1.0, 1e9)), EDGE_LIMITS, _CALLER)
        assert 1 <= request.inputs.batch <= _SERVED.max_batch
        assert request.timeout_s is None or request.timeout_s > 0


class Fleet:
    """What a replica registers with, and what a registry tells an edge."""

    name = "fleet messages"

    def __init__(self) -> None:
        replica = fleet_pb2.Replica(
            replica_id="r", endpoint=fleet_pb2.Endpoint(target="h:1", metadata={"a": "b"}, tls_server_name="h"),
            models=[fleet_pb2.ModelVersion(name="m", digest="d" * 64)],
        )  # fmt: skip
        self._replica, self._view = replica, fleet_pb2.FleetView(version=3, replicas=[replica, replica])

    def run(self, mutator: Mutator) -> None:
        """See Target."""
        if mutator.often(0.5):
            replica_from_message(fleet_pb2.Replica.FromString(spoilt(self._replica, mutator))).checked()
        else:
            view_from_message(fleet_pb2.FleetView.FromString(spoilt(self._view, mutator)))


REFUSED = (IsthmusError, DecodeError)
"""What a reader may raise."""
