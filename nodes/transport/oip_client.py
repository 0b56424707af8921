"""A small Open Inference Protocol client over grpc.aio: arrays and files in, arrays and parameters out."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
from numpy.typing import NDArray

from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.datatypes import Datatype, datatype_of, datatype_of_dtype
from nodes.tls_files import TlsFiles
from nodes.transport.channel_options import CHANNEL_OPTIONS, any_length
from nodes.transport.credentials import open_channel
from nodes.transport.oip_messages import ParameterValue, join_bytes_elements, parameter_values
from nodes.transport.status import error_of

__all__ = ["ClientAnswer", "ClientInput", "InferMessage", "OipClient"]

READY_TIMEOUT_S = 5.0
_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_RAW_CONTENTS = oip.ModelInferRequest.DESCRIPTOR.fields_by_name["raw_input_contents"].number
_LENGTH_DELIMITED = 2


@dataclass(frozen=True, slots=True)
class ClientInput:
    """One input: an array, or encoded files, one an item."""

    name: str
    array: NDArray[np.generic] | None
    files: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """Outputs and parameters of a response. A BF16 output is float32 here, exactly: numpy has no bfloat16."""

    outputs: Mapping[str, NDArray[np.generic]]
    parameters: Mapping[str, ParameterValue]


@dataclass(frozen=True, slots=True)
class InferMessage:
    """A request, and the raw contents of its inputs that are not in it yet."""

    request: oip.ModelInferRequest
    raw: tuple[bytes | memoryview, ...]

    def serialized(self) -> bytes:
        """The whole message. The contents are copied once, where protobuf would copy them three times; by its rules the
        fields of one message may stand one after the other in any number of pieces."""
        parts: list[bytes | memoryview] = [self.request.SerializeToString()]
        for contents in self.raw:
            parts += (_varint(_RAW_CONTENTS << 3 | _LENGTH_DELIMITED), _varint(len(contents)), contents)
        return b"".join(parts)


def _varint(value: int) -> bytes:
    """https://protobuf.dev/programming-guides/encoding/#varints"""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class OipClient:
    """One channel to one server."""

    def __init__(self, target: str, tls: TlsFiles | None = None) -> None:
        """tls: whom to trust and what to show; None for a server in clear. Raises InvalidConfiguration."""
        self._target = target
        # How long messages may be is for the server to say.
        self._channel = open_channel(target, tls, options=any_length(CHANNEL_OPTIONS))
        self._stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._model_infer: grpc.aio.UnaryUnaryMultiCallable[InferMessage, oip.ModelInferResponse] = (
            self._channel.unary_unary(_METHOD, InferMessage.serialized, oip.ModelInferResponse.FromString)
        )

    async def infer(
        self, model: str, inputs: Sequence[ClientInput], parameters: Mapping[str, str | int], timeout_s: float | None
    ) -> ClientAnswer:
        """One request. Raises the IsthmusError that the server's status stands for."""
        request = oip.ModelInferRequest(model_name=model)
        for name, value in parameters.items():
            if isinstance(value, int):
                request.parameters[name].int64_param = value
            else:
                request.parameters[name].string_param = value
        raw = tuple(_add_input(request, given) for given in inputs)
        try:
            response = await self._model_infer(InferMessage(request, raw), timeout=timeout_s)
        except grpc.RpcError as error:
            raise error_of(error, self._target) from error
        return ClientAnswer(_outputs(response), parameter_values(response.parameters))

    async def ready(self) -> bool:
        """Whether the server answers and is ready."""
        try:
            return (await self._stub.ServerReady(oip.ServerReadyRequest(), timeout=READY_TIMEOUT_S)).ready
        except grpc.RpcError:
            return False

    async def describe(self, model: str) -> oip.ModelMetadataResponse:
        """A model's metadata. Raises NotFound, CloudUnavailable."""
        try:
            return await self._stub.ModelMetadata(oip.ModelMetadataRequest(name=model), timeout=READY_TIMEOUT_S)
        except grpc.RpcError as error:
            raise error_of(error, self._target) from error

    async def close(self) -> None:
        """Let the channel go."""
        await self._channel.close()


def _add_input(request: oip.ModelInferRequest, value: ClientInput) -> bytes | memoryview:
    """Announce an input in the request. Returns its raw contents."""
    if value.array is None:
        request.inputs.add(name=value.name, datatype="BYTES", shape=[len(value.files)])
        return join_bytes_elements(value.files)
    array = np.ascontiguousarray(value.array)
    request.inputs.add(name=value.name, datatype=_datatype_name(array.dtype), shape=array.shape)
    return array.reshape(-1).view(np.uint8).data


@functools.cache
def _datatype_name(dtype: np.dtype[np.generic]) -> str:
    return datatype_of_dtype(str(dtype)).name  # numpy takes 10 us to name one


def _outputs(response: oip.ModelInferResponse) -> dict[str, NDArray[np.generic]]:
    raw = list(response.raw_output_contents)
    return {
        output.name: _values(data, datatype_of(output.datatype, output.name)).reshape(tuple(output.shape))
        for output, data in zip(response.outputs, raw, strict=True)
    }


def _values(data: bytes, datatype: Datatype) -> NDArray[np.generic]:
    if datatype.numpy:
        return np.frombuffer(data, datatype.numpy)
    # BF16 is the upper half of a float32.
    return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
