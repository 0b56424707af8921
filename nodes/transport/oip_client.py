"""A small Open Inference Protocol client over grpc.aio: arrays and files in, arrays and parameters out."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
from numpy.typing import NDArray

from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.datatypes import datatype_of, datatype_of_dtype
from nodes.transport.channel_options import CHANNEL_OPTIONS
from nodes.transport.oip_messages import ParameterValue, parameter_values
from nodes.transport.status import error_of

__all__ = ["ClientAnswer", "ClientInput", "OipClient"]

READY_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ClientInput:
    """One input: an array, or encoded files, one an item."""

    name: str
    array: NDArray[np.generic] | None
    files: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """Outputs and parameters of a response."""

    outputs: Mapping[str, NDArray[np.generic]]
    parameters: Mapping[str, ParameterValue]


class OipClient:
    """One channel to one server."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._channel = grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
        self._stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    async def infer(
        self, model: str, inputs: Sequence[ClientInput], parameters: Mapping[str, str], timeout_s: float | None
    ) -> ClientAnswer:
        """One request. Raises the IsthmusError that the server's status stands for."""
        request = oip.ModelInferRequest(model_name=model)
        for name, text in parameters.items():
            request.parameters[name].string_param = text
        for given in inputs:
            _add_input(request, given)
        try:
            response = await self._stub.ModelInfer(request, timeout=timeout_s)
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


def _add_input(request: oip.ModelInferRequest, value: ClientInput) -> None:
    if value.array is None:
        request.inputs.add(name=value.name, datatype="BYTES", shape=[len(value.files)])
        framed = (struct.pack("<I", len(data)) + data for data in value.files)
        request.raw_input_contents.append(b"".join(framed))
        return
    array = np.ascontiguousarray(value.array)
    request.inputs.add(name=value.name, datatype=datatype_of_dtype(str(array.dtype)).name, shape=array.shape)
    request.raw_input_contents.append(array.tobytes())


def _outputs(response: oip.ModelInferResponse) -> dict[str, NDArray[np.generic]]:
    raw = list(response.raw_output_contents)
    return {
        output.name: np.frombuffer(data, dtype=datatype_of(output.datatype, output.name).numpy).reshape(output.shape)
        for output, data in zip(response.outputs, raw, strict=True)
    }
