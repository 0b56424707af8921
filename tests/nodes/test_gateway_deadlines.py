"""Deadlines, cancellation and overload as a client sees them: a real edge node behind real gRPC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from isthmus.errors import DeadlineUnreachable, Overloaded
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.cloud_connection import CloudConnection
from nodes.compute_pool import ComputePool
from nodes.edge_node import EdgeNode
from nodes.execution_ledger import ExecutionCounts
from nodes.fleet import Endpoint
from nodes.limits import EDGE_LIMITS
from nodes.metrics.request_ledger import RequestLedger
from nodes.model_shelf import LoadedModel, ModelShelf
from nodes.plan_builder import PlanBuilder
from nodes.prefix_queue import PrefixQueue
from nodes.steering import Canary, PolicySetting
from nodes.transport.gateway_server import GatewayService
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.status import error_of
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import WIDTH, GatedEngine, eventually, inputs_of, nobody_loads, profile, small_model

Call = grpc.aio.UnaryUnaryCall[oip.ModelInferRequest, oip.ModelInferResponse]


async def nobody(endpoint: Endpoint) -> CloudConnection:
    raise AssertionError(f"there is no cloud at {endpoint}")


@dataclass
class Served:
    """An edge that serves the small model without a cloud, what it counts, and a stub to ask it."""

    node: EdgeNode
    engine: GatedEngine
    chooser: PlanChooser
    requests: RequestLedger
    stub: open_inference_pb2_grpc.GRPCInferenceServiceAsyncStub

    def ask(self, timeout_s: float | None = None, timeout_us: int = 0, **named: str) -> Call:
        """named: parameters that name who is to decide."""
        request = oip.ModelInferRequest(model_name="small")
        (described,) = self.node.describe_model("small").inputs
        request.inputs.add(name=described.name, datatype="FP32", shape=[1, WIDTH])
        request.raw_input_contents.append(inputs_of(1).numpy().tobytes())
        if timeout_us:
            request.parameters["timeout"].int64_param = timeout_us
        for key, value in named.items():
            request.parameters[key].string_param = value
        return self.stub.ModelInfer(request, timeout=timeout_s)

    async def busy(self) -> Call:
        """A request that computes until the gate is opened."""
        before = self.engine.gate.came
        self.engine.gate.shut()
        call = self.ask()
        await eventually(lambda: self.engine.gate.came > before)
        return call

    async def fails(self, **asked: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError):
            await self.ask(**asked)

    def failures(self) -> dict[tuple[str, str, str], int]:
        """By policy, plan kind and outcome."""
        counted = self.requests.counts().requests.items()
        return {(of.policy, of.plan_kind, of.outcome): count for of, count in counted if of.outcome != "ok"}

    def counts(self) -> ExecutionCounts:
        return ExecutionCounts(**self.node.counts()["prefixes"])


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    engine, pool = GatedEngine(), ComputePool(1)
    builder = await pool.run(PlanBuilder, small_model(), engine, 1.0)
    chooser = PlanChooser()
    shelf = ModelShelf({"small": LoadedModel(builder.model, builder)}, nobody_loads)
    node = EdgeNode(shelf, profile(), chooser, PrefixQueue(pool, chooser.edge_queue(), at_once_s=0.0), nobody)
    await node.start()
    requests = RequestLedger()
    service = GatewayService(node, "0", requests=requests)
    server = GrpcServer(
        ["inference.GRPCInferenceService"],
        lambda server: open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server),
    )
    async with grpc.aio.insecure_channel(await server.start("127.0.0.1:0", "edge.listen")) as channel:
        yield Served(node, engine, chooser, requests, open_inference_pb2_grpc.GRPCInferenceServiceStub(channel))
    engine.gate.open()
    await server.stop(0)
    pool.close()


async def test_a_client_that_cancels_takes_its_request_out_of_the_queue(served: Served) -> None:
    first, second = await served.busy(), served.ask()
    await eventually(lambda: served.node.waiting == 2)
    second.cancel()
    await eventually(lambda: served.counts().cancelled_unexecuted == 1)
    served.engine.gate.open()
    await first
    assert served.counts() == ExecutionCounts(executed=1, cancelled_unexecuted=1)


@pytest.mark.parametrize(
    "limits", [{"timeout_s": 0.15}, {"timeout_us": 150_000}, {"timeout_s": 9, "timeout_us": 150_000}]
)
async def test_a_request_that_waits_past_its_deadline_is_answered_then_and_never_executed(
    served: Served, limits: dict[str, float]
) -> None:
    first, began = await served.busy(), time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.ask(**limits)  # type: ignore[arg-type]
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.1 < time.monotonic() - began < 5.0
    await eventually(lambda: served.node.waiting == 1)
    served.engine.gate.open()
    await first
    counts = served.counts()
    assert (counts.executed, counts.executed_after_deadline) == (1, 0)
    assert counts.expired_unexecuted + counts.cancelled_unexecuted == 1


async def test_a_failed_request_is_counted_by_who_decided_and_by_the_kind_of_its_plan_where_one_was_chosen(
    served: Served,
) -> None:
    first = await served.busy()
    for limit_us in (1, 150_000):  # too little for any plan, and enough for one while nobody knows how long it waits
        await served.fails(timeout_us=limit_us)
    served.engine.gate.open()
    await first
    late = "DEADLINE_EXCEEDED"
    assert served.failures() == {("latency", "none", late): 1, ("latency", "edge-only", late): 1}


async def test_a_call_whose_deadline_passes_is_not_counted_as_taken_back(
    served: Served,
) -> None:
    busy = await served.busy()
    await served.fails(timeout_s=0.2373)
    await eventually(lambda: sum(served.failures().values()) == 1)
    (passed,) = served.failures()
    taken_back = served.ask(timeout_s=30.0)
    await asyncio.sleep(0.1)
    taken_back.cancel()
    await eventually(lambda: sum(served.failures().values()) == 2)
    (left,) = set(served.failures()) - {passed}
    assert (passed[2], left[2]) == ("DEADLINE_EXCEEDED", "CANCELLED")
    served.engine.gate.open()
    await busy


async def test_requests_that_a_canary_lets_fail_are_counted_as_its(served: Served) -> None:
    cannot = Canary(PolicySetting("cloud-only"), 1.0)  # there is no cloud
    served.chooser.steer(replace(served.chooser.steering, canary=cannot))
    await served.fails()
    hurried = Canary(PolicySetting("slo", {"deadline": 1e-6}), 1.0)  # refused before their turn, for its deadline
    served.chooser.steer(replace(served.chooser.steering, canary=hurried))
    await served.fails()
    assert {policy for policy, _, _ in served.failures()} == {"cloud-only (canary)", "slo (canary)"}


@pytest.mark.parametrize(
    ("named", "counted"),
    [
        ({"isthmus_policy": "cloud-only"}, "cloud-only"),
        ({"isthmus_policy": "made-up"}, "none"),
        ({"isthmus_policy": "fixed:made-up"}, "fixed"),
        ({"isthmus_plan": "made-up"}, "fixed"),
    ],
)
async def test_a_request_that_names_who_decides_and_fails_is_counted_so_without_what_its_client_made_up(
    served: Served, named: dict[str, str], counted: str
) -> None:
    await served.fails(**named)
    assert {policy for policy, _, _ in served.failures()} == {counted}


async def test_a_full_queue_is_resource_exhausted_at_once_and_says_when_to_come_back(served: Served) -> None:
    calls = [await served.busy(), *(served.ask() for _ in range(EDGE_LIMITS.queue - 1))]
    await eventually(lambda: served.node.waiting == EDGE_LIMITS.queue)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.ask(timeout_s=5.0)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    info = error_details_pb2.RetryInfo()
    assert status is not None
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.retry_delay.ToTimedelta().total_seconds() >= 0.1
    error = error_of(refused.value, "edge")
    assert isinstance(error, Overloaded)
    assert error.retry_after_s == info.retry_delay.ToTimedelta().total_seconds()
    served.engine.gate.open()
    assert len(await asyncio.gather(*calls)) == EDGE_LIMITS.queue


async def test_a_deadline_that_no_plan_meets_is_refused_at_once_with_what_it_would_take(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.ask(timeout_us=1)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    error = error_of(refused.value, "edge")
    assert isinstance(error, DeadlineUnreachable)
    assert error.predicted_s is not None
    assert error.predicted_s > 1e-6
    assert error.retry_after_s is None  # nothing was before it: waiting would not help
    assert served.counts() == ExecutionCounts()


async def test_an_edge_only_answer_needs_the_worker_once(served: Served) -> None:
    await served.ask()
    assert [served.node.counts()[stage]["executed"] for stage in ("prefixes", "suffixes")] == [1, 0]
