"""The protocol's layer, as a client sees it over a real connection."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import torch

from isthmus.oip import model_config_pb2 as configuration
from isthmus.oip import open_inference_pb2 as oip
from nodes.gateway import InferRequest, InferResult
from nodes.transport.gateway_server import GatewayService
from nodes.transport.infer_messages import read_request, write_response
from nodes.transport.infer_stream import MOST_IN_FLIGHT
from nodes.transport.oip_messages import split_bytes_elements

if TYPE_CHECKING:
    from isthmus.oip.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub as Stub
    from tests.nodes.transport.conftest import DoublingNode

    StreamMethod = grpc.aio.StreamStreamMultiCallable[bytes, oip.ModelStreamInferResponse]
    StreamCall = grpc.aio.StreamStreamCall[oip.ModelInferRequest, oip.ModelStreamInferResponse]

Ask = Callable[..., oip.ModelInferRequest]
SERVICE = "/inference.GRPCInferenceService"


async def refused(call: object) -> tuple[grpc.StatusCode, str]:
    """The status and message that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value.code(), caught.value.details() or ""


async def sent(*requests: oip.ModelInferRequest) -> AsyncIterator[oip.ModelInferRequest]:
    for request in requests:
        yield request


async def answers(stub: Stub, *requests: oip.ModelInferRequest) -> list[oip.ModelStreamInferResponse]:
    return [answer async for answer in stub.ModelStreamInfer(sent(*requests))]


async def next_answer(call: StreamCall) -> oip.ModelStreamInferResponse:
    answer = await call.read()
    assert isinstance(answer, oip.ModelStreamInferResponse)
    return answer


class TestUnary:
    async def test_an_answer_carries_outputs_id_and_stages(self, stub: Stub, ask: Ask) -> None:
        answer = await stub.ModelInfer(ask("mine", 2.0))
        assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == [4, 0, 10]
        assert (answer.id, answer.model_version) == ("mine", "0123456789ab")
        assert answer.parameters["isthmus_cloud_ms"].double_param == pytest.approx(5)

    @pytest.mark.parametrize("way", ["gRPC", "parameter"])
    async def test_reading_a_request_is_of_its_own_time(
        self, stub: Stub, ask: Ask, node: DoublingNode, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        def slowly(*given: Any) -> InferRequest:
            time.sleep(0.5)  # more than gRPC rounds a timeout up by
            return read_request(*given)

        monkeypatch.setattr("nodes.transport.infer_handler.read_request", slowly)
        request = ask()
        if way == "parameter":
            request.parameters["timeout"].int64_param = 5_000_000
        await stub.ModelInfer(request, timeout=5.0 if way == "gRPC" else None)
        (asked,) = node.requests
        assert asked.timeout_s is not None
        assert 3.0 < asked.timeout_s <= 4.6

    async def test_what_nobody_planned_tells_nothing_of_the_inside(self, stub: Stub, ask: Ask) -> None:
        assert await refused(stub.ModelInfer(ask(first=-2))) == (
            grpc.StatusCode.INTERNAL,
            "internal error: ZeroDivisionError",
        )

    @pytest.mark.parametrize("name", ["sequence_id", "shared_memory_region"])
    async def test_extensions_that_are_not_there_are_not_ignored(self, stub: Stub, ask: Ask, name: str) -> None:
        request = ask()
        request.parameters[name].int64_param = 1
        code, message = await refused(stub.ModelInfer(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert name in message

    async def test_an_input_in_shared_memory_is_refused_by_name(self, stub: Stub, ask: Ask) -> None:
        request = ask()
        request.inputs[0].parameters["shared_memory_region"].string_param = "mine"
        code, message = await refused(stub.ModelInfer(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "input x, parameter shared_memory_region is not supported" in message.replace(":", "", 1)

    async def test_a_priority_that_the_stream_has_no_room_for_is_refused(
        self, stub: Stub, ask: Ask, node: DoublingNode
    ) -> None:
        request = ask()
        request.parameters["priority"].int64_param = 1 << 32
        code, message = await refused(stub.ModelInfer(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "parameter priority: must be at most 4294967295 (got 4294967296)" in message
        assert not node.requests

    @pytest.mark.parametrize("timeout_us", [10**13, (1 << 63) - 1, (1 << 64) - 1])
    async def test_a_timeout_of_years_is_none(self, stub: Stub, ask: Ask, node: DoublingNode, timeout_us: int) -> None:
        request = ask()
        request.parameters["timeout"].uint64_param = timeout_us
        await stub.ModelInfer(request)
        assert [one.timeout_s for one in node.requests] == [None]

    @pytest.mark.parametrize("field", ["inputs", "raw_input_contents", "outputs", "parameters"])
    async def test_more_parts_than_any_model_has_are_refused_untouched(
        self, stub: Stub, ask: Ask, monkeypatch: pytest.MonkeyPatch, field: str
    ) -> None:
        monkeypatch.setattr("nodes.transport.infer_messages.check_id", None)  # nobody gets so far
        request = ask()
        request.raw_input_contents.extend([b""] * 65 * (field == "raw_input_contents"))
        request.inputs.extend([oip.ModelInferRequest.InferInputTensor()] * 65 * (field == "inputs"))
        request.outputs.extend([oip.ModelInferRequest.InferRequestedOutputTensor(name="y")] * 65 * (field == "outputs"))
        for number in range(65 * (field == "parameters")):
            request.parameters[str(number)].bool_param = True
        code, message = await refused(stub.ModelInfer(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert message.startswith(f"{field}: may be 64 at most (got 6")

    @pytest.mark.parametrize("field", ["inputs", "outputs"])
    async def test_more_parameters_of_a_tensor_than_there_are_are_refused_untouched(
        self, stub: Stub, ask: Ask, monkeypatch: pytest.MonkeyPatch, field: str
    ) -> None:
        monkeypatch.setattr("nodes.transport.infer_messages.check_id", None)  # nobody gets so far
        request = ask()
        one = request.inputs[0] if field == "inputs" else request.outputs.add(name="y")
        for number in range(65):
            one.parameters[str(number)].bool_param = True
        code, message = await refused(stub.ModelInfer(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert message.startswith(f"parameters of {one.name}: may be 64 at most (got 65)")

    async def test_a_shape_of_a_million_dimensions_is_told_by_their_number(self, stub: Stub, ask: Ask) -> None:
        request = ask()
        request.inputs[0].shape.extend([1] * 1_000_000)
        code, message = await refused(stub.ModelInfer(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "dimensions (got '1000" in message
        assert len(message) < 200

    @pytest.mark.parametrize("shape", [[1_000_000], [1_000_000, 1], [1000, 10, 100]])
    async def test_more_files_than_a_model_takes_are_refused_untouched(
        self, stub: Stub, monkeypatch: pytest.MonkeyPatch, shape: list[int]
    ) -> None:
        monkeypatch.setattr("nodes.transport.oip_messages.split_bytes_elements", None)  # nobody calls it
        request = oip.ModelInferRequest(model_name="double", raw_input_contents=[bytes(4 * 1_000_000)])
        request.inputs.add(name="x", datatype="BYTES", shape=shape)
        code, message = await refused(stub.ModelInfer(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert message.startswith("input x: takes one image file an item, of 8 items at most (got 1000000)")

    @pytest.mark.parametrize(("classes", "apart"), [(3, False), (20_000, True)])
    async def test_many_classes_are_written_off_the_event_loop(
        self, stub: Stub, ask: Ask, node: DoublingNode, monkeypatch: pytest.MonkeyPatch, classes: int, apart: bool
    ) -> None:
        infer, threads = node.infer, list[threading.Thread]()

        async def wide(request: InferRequest) -> InferResult:
            return replace(await infer(request), outputs=(("y", torch.zeros(1, 20_000)),))

        def noting(*given: Any) -> oip.ModelInferResponse:
            threads.append(threading.current_thread())
            return write_response(*given)

        monkeypatch.setattr(node, "infer", wide)
        monkeypatch.setattr("nodes.transport.infer_handler.write_response", noting)
        request = ask()
        request.outputs.add(name="y").parameters["classification"].int64_param = classes
        assert (await stub.ModelInfer(request)).outputs[0].shape == [1, classes]
        assert [thread is not threading.current_thread() for thread in threads] == [apart]

    async def test_classes_come_as_bytes_with_their_labels(self, stub: Stub, ask: Ask) -> None:
        request = ask(first=2.0)
        request.outputs.add(name="y").parameters["classification"].int64_param = 2
        answer = await stub.ModelInfer(request)
        assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("BYTES", [1, 2])
        assert split_bytes_elements(answer.raw_output_contents[0], "y") == (b"10.000000:2:cow", b"4.000000:0:cat")


class TestStream:
    async def test_one_bad_request_leaves_the_others_alone(self, stub: Stub, ask: Ask) -> None:
        unknown = ask("unknown")
        unknown.model_name = "other"
        got = await answers(stub, ask("a", 1.0), ask("bad", -1), unknown, ask("worse", -2), ask("b", 3.0))
        errors = {one.infer_response.id: one.error_message for one in got if one.error_message}
        fine = {one.infer_response.id for one in got if not one.error_message}
        assert fine == {"a", "b"}
        assert errors == {
            "bad": "[request id: bad] input x: is minus one",
            "unknown": "[request id: unknown] model 'other' is not loaded",
            "worse": "[request id: worse] internal error: ZeroDivisionError",
        }

    async def test_an_error_has_the_edges_own_id_beside_the_clients(
        self, stub: Stub, ask: Ask, node: DoublingNode
    ) -> None:
        (one,) = await answers(stub, ask("bad", -1))
        assert one.infer_response.id == "bad"
        named = one.infer_response.parameters["isthmus_request_id"].string_param
        assert named == node.requests[0].request_id
        assert len(named) == 32

    async def test_a_slow_request_does_not_hold_up_the_next(self, stub: Stub, ask: Ask, node: DoublingNode) -> None:
        call = stub.ModelStreamInfer()
        await call.write(ask("slow", -3))
        await call.write(ask("fast", 1.0))
        first = await next_answer(call)
        node.release.set()
        second = await next_answer(call)
        await call.done_writing()
        assert [one.infer_response.id for one in (first, second)] == ["fast", "slow"]
        assert await call.code() is grpc.StatusCode.OK

    async def test_a_message_that_cannot_be_read_is_an_error_of_its_own(
        self, channel: grpc.aio.Channel, ask: Ask
    ) -> None:
        stream: StreamMethod = channel.stream_stream(
            f"{SERVICE}/ModelStreamInfer", response_deserializer=oip.ModelStreamInferResponse.FromString
        )
        got = [one async for one in stream(iter([b"\xff\xff", ask("fine").SerializeToString()]))]
        assert sorted(one.error_message.partition(" cannot")[0] for one in got) == ["", "message:"]

    async def test_more_than_the_bound_are_answered_in_turn(self, stub: Stub, ask: Ask, node: DoublingNode) -> None:
        many = [ask(str(number), -3) for number in range(2 * MOST_IN_FLIGHT)]
        call = stub.ModelStreamInfer(sent(*many))
        await node.until_waiting(MOST_IN_FLIGHT)
        node.release.set()
        assert len([answer async for answer in call]) == len(many)
        assert node.most_waiting == MOST_IN_FLIGHT

    async def test_a_client_that_leaves_takes_its_requests_back(self, stub: Stub, ask: Ask, node: DoublingNode) -> None:
        call = stub.ModelStreamInfer()
        await call.write(ask("a", -3))
        await call.write(ask("b", -3))
        await node.until_waiting(2)
        call.cancel()
        await node.until_waiting(0)
        assert node.cancelled == 2

    async def test_a_drain_answers_what_came_and_says_where_to_go(
        self, stub: Stub, ask: Ask, node: DoublingNode, service: GatewayService
    ) -> None:
        call = stub.ModelStreamInfer()
        await call.write(ask("a", -3))
        await node.until_waiting(1)
        service.end_streams()
        node.release.set()
        answer = await next_answer(call)
        assert answer.infer_response.id == "a"
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert "draining" in await call.details()

    async def test_the_streams_deadline_is_every_requests(self, stub: Stub, ask: Ask, node: DoublingNode) -> None:
        assert [one async for one in stub.ModelStreamInfer(sent(ask()), timeout=7)]
        assert node.requests[0].timeout_s == pytest.approx(7, abs=1)


class TestModel:
    async def test_the_configuration_leaves_the_batch_out_of_the_dims(self, stub: Stub) -> None:
        config = (await stub.ModelConfig(oip.ModelConfigRequest(name="double"))).config
        assert (config.name, config.platform, config.backend, config.max_batch_size) == (
            "double",
            "isthmus",
            "isthmus",
            8,
        )
        (given,), (made,) = config.input, config.output
        assert (given.name, given.data_type, list(given.dims)) == ("x", configuration.TYPE_FP32, [3])
        assert (made.name, made.data_type, list(made.dims)) == ("y", configuration.TYPE_FP32, [3])

    async def test_statistics_count_what_was_answered_and_what_was_not(self, stub: Stub, ask: Ask) -> None:
        for first in (1.0, 2.0, -1):
            await asyncio.gather(stub.ModelInfer(ask(first=first)), return_exceptions=True)
        both = ask()
        both.inputs[0].shape[0] = 2
        both.inputs[0].contents.fp32_contents.extend([1.0, 1.0, 1.0])
        await answers(stub, both)
        (said,) = (await stub.ModelStatistics(oip.ModelStatisticsRequest(name="double"))).model_stats
        counted = said.inference_stats
        assert (said.inference_count, said.execution_count) == (4, 3)
        assert (counted.success.count, counted.fail.count) == (3, 1)
        assert counted.queue.ns == 3 * 5_000_000  # the stages that the node reports
        assert counted.compute_infer.ns == 3 * 16_000_000
        assert 0 < counted.compute_input.ns + counted.compute_output.ns < counted.success.ns
        assert [(one.batch_size, one.compute_infer.count) for one in said.batch_stats] == [(1, 2), (2, 1)]

    @pytest.mark.parametrize("method", ["ModelConfig", "ModelMetadata", "ModelStatistics"])
    async def test_a_model_or_version_that_is_not_there_is_not_found(self, stub: Stub, method: str) -> None:
        request = getattr(oip, f"{method}Request")
        for asked in (request(name="other"), request(name="double", version="2")):
            assert (await refused(getattr(stub, method)(asked)))[0] is grpc.StatusCode.NOT_FOUND


class TestRepository:
    async def test_an_unloaded_model_is_not_found_until_it_is_loaded(self, stub: Stub, ask: Ask) -> None:
        await stub.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name="double"))
        index = await stub.RepositoryIndex(oip.RepositoryIndexRequest())
        assert [(one.name, one.state, one.reason) for one in index.models] == [("double", "UNAVAILABLE", "unloaded")]
        assert not (await stub.RepositoryIndex(oip.RepositoryIndexRequest(ready=True))).models
        assert not (await stub.ModelReady(oip.ModelReadyRequest(name="double"))).ready
        assert not (await stub.ModelStatistics(oip.ModelStatisticsRequest())).model_stats
        assert (await refused(stub.ModelInfer(ask())))[0] is grpc.StatusCode.NOT_FOUND
        await stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="double"))
        assert (await stub.ModelInfer(ask("again"))).id == "again"

    async def test_only_configured_models_load(self, stub: Stub) -> None:
        call = stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="/etc/passwd"))
        assert (await refused(call))[0] is grpc.StatusCode.NOT_FOUND

    @pytest.mark.parametrize("name", ["config", "file:1/model.onnx"])
    async def test_no_client_brings_a_model(self, stub: Stub, name: str) -> None:
        request = oip.RepositoryModelLoadRequest(model_name="double")
        request.parameters[name].bytes_param = b"{}"
        code, message = await refused(stub.RepositoryModelLoad(request))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert f"parameter {name}" in message

    async def test_there_is_one_repository(self, stub: Stub) -> None:
        call = stub.RepositoryIndex(oip.RepositoryIndexRequest(repository_name="/models"))
        assert (await refused(call))[0] is grpc.StatusCode.INVALID_ARGUMENT


class TestWhatIsNotThere:
    @pytest.mark.parametrize(
        ("method", "words"),
        [
            ("SystemSharedMemoryStatus", "shared memory is not supported"),
            ("CudaSharedMemoryRegister", "shared memory is not supported"),
            ("TraceSetting", "trace settings are not supported"),
            ("LogSettings", "log settings are not supported"),
        ],
    )
    async def test_a_method_says_what_is_missing(self, channel: grpc.aio.Channel, method: str, words: str) -> None:
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"{SERVICE}/{method}")
        code, message = await refused(unary(b"anything"))
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert words in message

    async def test_the_extensions_are_those_that_answer(self, stub: Stub) -> None:
        said = await stub.ServerMetadata(oip.ServerMetadataRequest())
        assert "model_repository" in said.extensions
        assert not [
            name for name in said.extensions if "shared_memory" in name or name in ("trace", "logging", "sequence")
        ]
