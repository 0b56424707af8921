"""What `gateway_throughput` measures besides the edge, each in a process of its own: the baseline, a plain grpc.aio
server that parses the same message and builds the same answer, as short as one writes it by hand; and the product's
gateway alone, in front of a node that answers at once."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection

import grpc
import torch
import uvloop

from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.gateway import InferRequest, InferResult, ModelDescription, ModelState, StageTimings
from nodes.transport.channel_options import SERVER_OPTIONS
from nodes.transport.gateway_server import GatewayService
from partitioner.plan import Prediction

__all__ = ["ServerProcess", "gateway_alone", "raw_gateway"]

Parameters = Mapping[str, int | float | str]
Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True, slots=True)
class ServerProcess:
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


class _AtOnce:
    """Implements Gateway: every request's tensor comes back, nothing is chosen, queued or computed."""

    def __init__(self, described: ModelDescription, told: InferResult) -> None:
        self._described, self._told = described, told

    def ready(self) -> bool:
        return True

    def describe_model(self, name: str) -> ModelDescription:
        return self._described

    def models(self) -> tuple[ModelState, ...]:
        return (ModelState(self._described.name, self._described.version, "READY"),)

    async def load_model(self, name: str) -> None:
        """It is loaded."""

    async def unload_model(self, name: str) -> None:
        """It stays."""

    async def infer(self, request: InferRequest) -> InferResult:
        (tensor,) = request.inputs.values.values()
        assert isinstance(tensor, torch.Tensor)
        return replace(self._told, outputs=((self._described.outputs[0].name, tensor),))


async def _serve_raw(ready: Connection, version: str, parameters: Parameters) -> None:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    service = _Service(version, parameters)  # type: ignore[abstract]  # its other methods say UNIMPLEMENTED
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    ready.send(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    await server.start()
    await server.wait_for_termination()


async def _serve_gateway(ready: Connection, described: ModelDescription, reason: str) -> None:
    stages = StageTimings(0.0001, 0.0001, 0.0, 0.0, 0.0, 0.0)
    told = InferResult(
        "0" * 32,
        (),
        "0" * 16,
        stages,
        0,
        "edge",
        reason,
        Prediction(0.0001, 0.0, 0.0, 0.0, 0.0001),
        "edge-only",
        "latency",
    )
    server = GatewayService(_AtOnce(described, told), "0").server()
    ready.send(await server.start("127.0.0.1:0", "edge.listen"))
    await asyncio.Event().wait()


def _run(work: Callable[[Connection], Coroutine[None, None, None]], ready: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(ready))


@contextlib.contextmanager
def _process(work: Callable[[Connection], Coroutine[None, None, None]]) -> Iterator[ServerProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_run, args=(work, theirs), daemon=True)
    child.start()
    try:
        yield ServerProcess(str(ours.recv()), child.pid or 0)
    finally:
        child.kill()
        child.join()


def raw_gateway(version: str, parameters: Parameters) -> contextlib.AbstractContextManager[ServerProcess]:
    """The baseline, until the block ends. version, parameters: what every answer says."""
    return _process(partial(_serve_raw, version=version, parameters=parameters))


def gateway_alone(described: ModelDescription, reason: str) -> contextlib.AbstractContextManager[ServerProcess]:
    """`GatewayService` in front of a node that answers at once."""
    return _process(partial(_serve_gateway, described=described, reason=reason))
