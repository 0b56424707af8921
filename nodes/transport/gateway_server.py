"""The Open Inference Protocol service, and Triton's extensions of it, in front of a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from functools import partial
from typing import NamedTuple

import grpc

from isthmus.errors import Draining, InvalidRequest, IsthmusError, NotFound
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from isthmus.telemetry import get_logger
from nodes.byte_budget import MOST_CLIENT_BYTES
from nodes.gateway import Gateway, ModelDescription, new_request_id
from nodes.limits import EDGE_LIMITS, LARGEST_GRPC_MESSAGE_BYTES, NodeLimits
from nodes.metrics.request_ledger import RequestLedger
from nodes.model_statistics import StatisticsLedger
from nodes.sight.failures import RecentFailures
from nodes.tracing.base import Tracing
from nodes.transport import operator_service
from nodes.transport.answer_compression import compress_as_asked, leave_long_as_it_is
from nodes.transport.caller import caller_of
from nodes.transport.channel_options import SERVER_OPTIONS, any_length
from nodes.transport.client_bytes import CallBytes, ClientBytes
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.guarded_service import add_guarded
from nodes.transport.infer_handler import InferHandler
from nodes.transport.infer_messages import check_version
from nodes.transport.infer_stream import InferStream
from nodes.transport.model_messages import index_message, metadata_message, model_config_message, statistics_message
from nodes.transport.name_lengths import LONGEST_ID, LONGEST_NAME
from nodes.transport.operator_service import OperatorService
from nodes.transport.operators import check_operator
from nodes.transport.status import abort, status_message
from nodes.transport.unreadable_messages import Unreadable
from nodes.transport.unsupported_methods import UnsupportedMethods

__all__ = ["MOST_CALLS", "SERVICE", "GatewayService"]

SERVICE = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
SERVER_NAME = "isthmus"
EXTENSIONS = (
    "classification",
    "model_configuration",
    "model_repository",
    "schedule_policy",
    "statistics",
)

MOST_CALLS = 1024
"""Of one connection under way at once, at least: a proxy has the calls of many clients in one."""
_LARGEST_SETTING = (1 << 31) - 1

Context = grpc.aio.ServicerContext[object, object]


class _StreamAnswer(NamedTuple):
    """held_bytes: see `Answered`."""

    message: oip.ModelStreamInferResponse
    held_bytes: int = 0


class GatewayService(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """The servicer in front of an edge node."""

    def __init__(
        self,
        gateway: Gateway,
        version: str,
        limits: NodeLimits = EDGE_LIMITS,
        requests: RequestLedger | None = None,
        tracing: Tracing | None = None,
        most_bytes: int = MOST_CLIENT_BYTES,
    ) -> None:
        """requests: is told of every request's end, for metrics. tracing: makes spans of them, None for none.
        most_bytes: of clients' requests and answers; one message and its answer always fit."""
        self._gateway = gateway
        self._limits = limits
        self._version = version
        self._ledger = StatisticsLedger()
        self.failures = RecentFailures()
        self._handler = InferHandler(gateway, self._ledger, self.failures, limits, requests, tracing)
        self.held = ClientBytes(max(most_bytes, 2 * (limits.message_bytes + LONGEST_ID)))
        self._draining = asyncio.Event()
        self._log = get_logger("gateway")

    def server(self, operators: OperatorService | None = None) -> GrpcServer:
        """A server of this service, not started yet. operators: served beside it."""

        def add(server: grpc.aio.Server) -> None:
            register = partial(open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server, self)
            add_guarded(server, SERVICE, register, self._limits)
            server.add_generic_rpc_handlers((UnsupportedMethods(SERVICE),))
            if operators is not None:
                operators.add_to(server)

        # Up to twice the limit a message is read, to be refused in words that name it; gRPC refuses longer ones unread.
        read_bytes = min(2 * self._limits.message_bytes, LARGEST_GRPC_MESSAGE_BYTES)
        services = [SERVICE] if operators is None else [SERVICE, operator_service.SERVICE]
        options = (*any_length(SERVER_OPTIONS, read_bytes), _most_calls(self._limits))
        return GrpcServer(services, add, options)

    @property
    def answered(self) -> int:
        """Requests answered since the start."""
        return self._ledger.answered_count

    def end_streams(self) -> None:
        """Read no further request from any stream: each ends once what was read is answered."""
        self._draining.set()

    # ---- the server --------------------------------------------------------------------------------------------

    async def ServerLive(self, request: oip.ServerLiveRequest, context: Context) -> oip.ServerLiveResponse:  # noqa: N802
        """The process answers."""
        return oip.ServerLiveResponse(live=True)

    async def ServerReady(self, request: oip.ServerReadyRequest, context: Context) -> oip.ServerReadyResponse:  # noqa: N802
        """Every loaded model answers."""
        return oip.ServerReadyResponse(ready=self._gateway.ready())

    async def ServerMetadata(  # noqa: N802
        self, request: oip.ServerMetadataRequest, context: Context
    ) -> oip.ServerMetadataResponse:
        """Name, version and extensions."""
        return oip.ServerMetadataResponse(name=SERVER_NAME, version=self._version, extensions=EXTENSIONS)

    # ---- a model -----------------------------------------------------------------------------------------------

    async def ModelReady(self, request: oip.ModelReadyRequest, context: Context) -> oip.ModelReadyResponse:  # noqa: N802
        """A model answers: false, not an error, for one that is not served."""
        try:
            self._described(request.name, request.version)
        except NotFound:
            return oip.ModelReadyResponse(ready=False)
        return oip.ModelReadyResponse(ready=True)

    async def ModelMetadata(  # noqa: N802
        self, request: oip.ModelMetadataRequest, context: Context
    ) -> oip.ModelMetadataResponse:
        """Inputs and outputs of a model; the batch dimension is -1."""
        try:
            return metadata_message(self._described(request.name, request.version))
        except IsthmusError as error:
            await abort(context, error)

    async def ModelConfig(self, request: oip.ModelConfigRequest, context: Context) -> oip.ModelConfigResponse:  # noqa: N802
        """A model in the words of Triton's model configuration."""
        try:
            return oip.ModelConfigResponse(config=model_config_message(self._described(request.name, request.version)))
        except IsthmusError as error:
            await abort(context, error)

    async def ModelStatistics(  # noqa: N802
        self, request: oip.ModelStatisticsRequest, context: Context
    ) -> oip.ModelStatisticsResponse:
        """What the requests of a model, or of every loaded one, came to since this gateway started."""
        try:
            asked = [request.name] if request.name else self._loaded()
            described = [self._described(name, request.version) for name in asked]
        except IsthmusError as error:
            await abort(context, error)
        return oip.ModelStatisticsResponse(
            model_stats=[statistics_message(model, self._ledger.of(model.name)) for model in described]
        )

    def _described(self, name: str, version: str) -> ModelDescription:
        described = self._gateway.describe_model(name)
        check_version(described, version)
        return described

    def _loaded(self) -> list[str]:
        return [model.name for model in self._gateway.models() if model.state == "READY"]

    # ---- inference ---------------------------------------------------------------------------------------------

    async def ModelInfer(self, request: oip.ModelInferRequest, context: Context) -> oip.ModelInferResponse:  # noqa: N802
        """One request: an answer or an error, once."""
        compressed, call = await compress_as_asked(context), CallBytes(caller_of(context), self.held)
        # Called once gRPC has let the answer leave. Its stubs have a class here, where it is a callable.
        context.add_done_callback(lambda _: call.let_all_go())  # type: ignore[arg-type]
        request_id = new_request_id()
        try:
            metadata, remaining_s = context.invocation_metadata, context.time_remaining()
            response, _ = await self._handler.answer(request, remaining_s, call, metadata, request_id)
            if compressed:
                leave_long_as_it_is(context, response)
            return response
        except IsthmusError as error:
            await abort(context, error, request_id)
        except Exception as error:
            self._log.exception("request failed", model=request.model_name, request_id=request_id)
            await abort(context, error, request_id)

    async def ModelStreamInfer(  # type: ignore[override] # noqa: N802 (grpc.aio takes a coroutine that writes, too)
        self, request_iterator: AsyncIterator[oip.ModelInferRequest | Unreadable], context: Context
    ) -> None:
        """Many requests, each answered once, in the order in which they are done, with their own ids."""
        compressed = await compress_as_asked(context)
        call = CallBytes(caller_of(context), self.held)

        async def answer(message: oip.ModelInferRequest | Unreadable) -> _StreamAnswer:
            return await self._stream_answer(message, context, call)

        async def send(one: _StreamAnswer) -> None:
            if compressed:
                leave_long_as_it_is(context, one.message)
            await context.write(one.message)
            call.let_go(one.held_bytes)

        try:
            stream = InferStream(request_iterator, answer, send, has_room=call.has_room)
            if not await stream.run(self._draining):
                await abort(context, Draining("this edge is draining; open the stream again elsewhere"))
        finally:
            call.let_all_go()

    async def _stream_answer(
        self, message: oip.ModelInferRequest | Unreadable, context: Context, call: CallBytes
    ) -> _StreamAnswer:
        if isinstance(message, Unreadable):
            return _StreamAnswer(oip.ModelStreamInferResponse(error_message=str(message.error)))
        request_id = new_request_id()
        try:
            metadata, remaining_s = context.invocation_metadata, context.time_remaining()
            response, held_bytes = await self._handler.answer(message, remaining_s, call, metadata, request_id)
        except Exception as error:
            if not isinstance(error, IsthmusError):
                self._log.exception("request failed", model=message.model_name, request_id=request_id)
            return _StreamAnswer(_stream_error(message, error, request_id))
        response.parameters["triton_final_response"].bool_param = True  # there is one answer to a request
        return _StreamAnswer(oip.ModelStreamInferResponse(infer_response=response), held_bytes)

    # ---- the repository ----------------------------------------------------------------------------------------

    async def RepositoryIndex(  # noqa: N802
        self, request: oip.RepositoryIndexRequest, context: Context
    ) -> oip.RepositoryIndexResponse:
        """Every configured model, or those that are ready."""
        try:
            _check_repository(request.repository_name)
        except IsthmusError as error:
            await abort(context, error)
        models = [model for model in self._gateway.models() if model.state == "READY" or not request.ready]
        return oip.RepositoryIndexResponse(models=map(index_message, models))

    async def RepositoryModelLoad(  # noqa: N802
        self, request: oip.RepositoryModelLoadRequest, context: Context
    ) -> oip.RepositoryModelLoadResponse:
        """Serve a configured model again, as it is configured."""
        try:
            _check_repository(request.repository_name)
            _check_parameters(request.parameters, allowed=())
            check_operator(context, "loading a model")
            await self._gateway.load_model(request.model_name)
        except IsthmusError as error:
            await abort(context, error)
        return oip.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, request: oip.RepositoryModelUnloadRequest, context: Context
    ) -> oip.RepositoryModelUnloadResponse:
        """Stop serving a configured model until it is loaded again."""
        try:
            _check_repository(request.repository_name)
            # Clients send it, false, with every call. No model here has dependents, so it changes nothing.
            _check_parameters(request.parameters, allowed=("unload_dependents",))
            check_operator(context, "unloading a model")
            await self._gateway.unload_model(request.model_name)
        except IsthmusError as error:
            await abort(context, error)
        return oip.RepositoryModelUnloadResponse()


def _most_calls(limits: NodeLimits) -> tuple[str, int]:
    """The option that bounds the calls of one connection; a client holds further ones back."""
    # gRPC itself sets no bound, and every call may hold a message that arrives, before anybody here counts it.
    # Twice the queue: who has to go when that is full is decided there, in words, not by who came first on the wire.
    return "grpc.max_concurrent_streams", min(max(MOST_CALLS, 2 * limits.queue), _LARGEST_SETTING)


def _stream_error(message: oip.ModelInferRequest, error: Exception, request_id: str) -> oip.ModelStreamInferResponse:
    """The client's own id stands in the text, too: clients that turn the message into an exception keep nothing else of
    it. Of an id that is refused for its length, and of a name as long, only the beginning goes back."""
    model, own_id = message.model_name[:LONGEST_NAME], message.id[:LONGEST_ID]
    named = f"[request id: {own_id}] " if own_id else ""
    response = oip.ModelInferResponse(model_name=model, id=own_id)
    response.parameters["isthmus_request_id"].string_param = request_id
    return oip.ModelStreamInferResponse(error_message=named + status_message(error), infer_response=response)


def _check_repository(name: str) -> None:
    if name:
        raise InvalidRequest(
            "repository_name", "there is one repository, the configuration", value=name, remedy='send ""'
        )


def _check_parameters(given: Collection[str], allowed: Collection[str]) -> None:
    for name in given:
        if name not in allowed:
            raise InvalidRequest(
                f"parameter {name}",
                "is not supported: models are what this edge's configuration says, no client brings them",
                remedy="leave it out",
            )
