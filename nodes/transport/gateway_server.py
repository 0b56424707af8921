"""The Open Inference Protocol service: messages to requests, results to messages, errors to statuses."""

from __future__ import annotations

import grpc
import torch

from isthmus.errors import InvalidRequest, IsthmusError, NotFound
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from isthmus.telemetry import get_logger
from nodes.datatypes import datatype_of_dtype
from nodes.gateway import Gateway, InferRequest, InferResult, TensorDescription
from nodes.request_inputs import check_inputs
from nodes.transport.oip_messages import ParameterValue, parameter_values, read_inputs, set_parameters, write_output
from nodes.transport.status import abort

__all__ = ["GatewayService"]

SERVER_NAME = "isthmus"
PLATFORM = "isthmus"
EXTENSIONS = ("schedule_policy",)


class GatewayService(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """The servicer in front of an edge node."""

    def __init__(self, gateway: Gateway, version: str) -> None:
        self._gateway = gateway
        self._version = version
        self._log = get_logger("gateway")

    async def ServerLive(  # noqa: N802 (the schema's names)
        self, request: oip.ServerLiveRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> oip.ServerLiveResponse:
        """The process answers."""
        return oip.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, request: oip.ServerReadyRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> oip.ServerReadyResponse:
        """Every configured model answers."""
        return oip.ServerReadyResponse(ready=self._gateway.ready())

    async def ModelReady(  # noqa: N802
        self, request: oip.ModelReadyRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> oip.ModelReadyResponse:
        """A model answers: false, not an error, for one that is not served."""
        try:
            described = self._gateway.describe_model(request.name)
        except NotFound:
            return oip.ModelReadyResponse(ready=False)
        return oip.ModelReadyResponse(ready=request.version in ("", described.version))

    async def ServerMetadata(  # noqa: N802
        self, request: oip.ServerMetadataRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> oip.ServerMetadataResponse:
        """Name, version and extensions."""
        return oip.ServerMetadataResponse(name=SERVER_NAME, version=self._version, extensions=EXTENSIONS)

    async def ModelMetadata(  # noqa: N802
        self, request: oip.ModelMetadataRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> oip.ModelMetadataResponse:
        """Inputs and outputs of a model; the batch dimension is -1."""
        try:
            described = self._gateway.describe_model(request.name)
            _check_version(described.name, described.version, request.version)
        except IsthmusError as error:
            await abort(context, error)
        return oip.ModelMetadataResponse(
            name=described.name,
            versions=[described.version],
            platform=PLATFORM,
            inputs=[_metadata(tensor) for tensor in described.inputs],
            outputs=[_metadata(tensor) for tensor in described.outputs],
        )

    async def ModelInfer(  # noqa: N802
        self, request: oip.ModelInferRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> oip.ModelInferResponse:
        """One request: an answer or an error, once."""
        try:
            with torch.inference_mode():
                checked = self._checked(request, context.time_remaining())
            result = await self._gateway.infer(checked)
            return _response(request, result, checked.model, self._gateway.describe_model(checked.model).version)
        except IsthmusError as error:
            await abort(context, error)
        except Exception as error:
            self._log.exception("request failed", model=request.model_name)
            await abort(context, error)

    def _checked(self, request: oip.ModelInferRequest, grpc_remaining_s: float | None) -> InferRequest:
        described = self._gateway.describe_model(request.model_name)
        _check_version(described.name, described.version, request.model_version)
        _check_outputs(request, [tensor.name for tensor in described.outputs])
        parameters = parameter_values(request.parameters)
        timeout_us = _integer(parameters, "timeout")
        limits = [] if timeout_us <= 0 else [timeout_us * 1e-6]
        # A deadline years away is gRPC's way to say "none".
        limits += [grpc_remaining_s] if grpc_remaining_s is not None and grpc_remaining_s < 1e7 else []
        return InferRequest(
            model=described.name,
            inputs=check_inputs(described, read_inputs(request)),
            timeout_s=min(limits, default=None),
            priority=_integer(parameters, "priority"),
            policy=_text(parameters, "isthmus_policy"),
            plan_id=_text(parameters, "isthmus_plan"),
        )


def _check_version(name: str, version: str, asked: str) -> None:
    if asked not in ("", version):
        raise NotFound(f"model {name} has no version {asked!r}; version {version!r} is served")


def _check_outputs(request: oip.ModelInferRequest, names: list[str]) -> None:
    for output in request.outputs:
        if output.name not in names:
            raise InvalidRequest(
                f"output {output.name}", f"model {request.model_name} has no such output", remedy=f"ask for {names}"
            )


def _integer(parameters: dict[str, ParameterValue], name: str) -> int:
    value = parameters.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequest(f"parameter {name}", "must be an integer of zero or more", value=value)
    return value


def _text(parameters: dict[str, ParameterValue], name: str) -> str:
    value = parameters.get(name, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"parameter {name}", "must be a string", value=value)
    return value


def _metadata(tensor: TensorDescription) -> oip.ModelMetadataResponse.TensorMetadata:
    return oip.ModelMetadataResponse.TensorMetadata(
        name=tensor.name, datatype=datatype_of_dtype(tensor.dtype).name, shape=tensor.shape
    )


def _response(request: oip.ModelInferRequest, result: InferResult, model: str, version: str) -> oip.ModelInferResponse:
    response = oip.ModelInferResponse(model_name=model, model_version=version, id=request.id)
    wanted = {output.name for output in request.outputs}
    for name, tensor in result.outputs:
        if not wanted or name in wanted:
            write_output(response, name, tensor)
    timings = result.timings
    set_parameters(
        response,
        {
            "isthmus_request_id": result.request_id,
            "isthmus_plan": result.plan_id,
            "isthmus_edge_ms": timings.edge_s * 1e3,
            "isthmus_edge_queue_ms": timings.edge_queue_s * 1e3,
            "isthmus_uplink_ms": timings.uplink_s * 1e3,
            "isthmus_cloud_ms": timings.cloud_s * 1e3,
            "isthmus_cloud_queue_ms": timings.cloud_queue_s * 1e3,
            "isthmus_downlink_ms": timings.downlink_s * 1e3,
            "isthmus_wire_bytes": result.wire_bytes,
            "isthmus_finished_by": result.finished_by,
            "isthmus_reason": result.reason,
            "isthmus_predicted_ms": result.predicted.total_s * 1e3,
            "isthmus_predicted_edge_ms": result.predicted.edge_s * 1e3,
            "isthmus_predicted_uplink_ms": result.predicted.uplink_s * 1e3,
            "isthmus_predicted_cloud_ms": result.predicted.cloud_s * 1e3,
            "isthmus_predicted_downlink_ms": result.predicted.downlink_s * 1e3,
            "isthmus_predicted_overhead_ms": result.predicted.overhead_s * 1e3,
        },
    )
    return response
