"""The baseline of `gateway_throughput`: a plain grpc.aio server, in a process of its own, that parses the same message
and builds the same answer, as short as one writes it by hand."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import grpc
import uvloop

from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.transport.channel_options import SERVER_OPTIONS

__all__ = ["RawGateway", "raw_gateway"]

Parameters = Mapping[str, int | float | str]
Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True, slots=True)
class RawGateway:
    """Where it answers, and its process."""

    address: str
    pid: int


class _Service(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Sends every request's tensor back, beside parameters that never change."""

    def __init__(self, version: str, parameters: Parameters) -> None:
        self._version, self._parameters = version, parameters

    async def ModelInfer(self, request: oip.ModelInferRequest, context: Context) -> oip.ModelInferResponse:  # noqa: N802
        response = oip.ModelInferResponse(
            model_name=request.model_name, model_version=self._version, id=request.id,
            raw_output_contents=request.raw_input_contents,
        )  # fmt: skip
        for given in request.inputs:
            response.outputs.add(name="output", datatype=given.datatype, shape=given.shape)
        parameters = response.parameters
        for name, value in self._parameters.items():
            if isinstance(value, float):
                parameters[name].double_param = value
            elif isinstance(value, int):
                parameters[name].int64_param = value
            else:
                parameters[name].string_param = value
        return response


async def _serve(ready: Connection, version: str, parameters: Parameters) -> None:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Service(version, parameters), server)
    ready.send(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    await server.start()
    await server.wait_for_termination()


def _run(ready: Connection, version: str, parameters: Parameters) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(ready, version, parameters))


@contextlib.contextmanager
def raw_gateway(version: str, parameters: Parameters) -> Iterator[RawGateway]:
    """Runs until the block ends. version, parameters: what every answer says."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_run, args=(theirs, version, parameters), daemon=True)
    child.start()
    try:
        yield RawGateway(str(ours.recv()), child.pid or 0)
    finally:
        child.kill()
        child.join()
