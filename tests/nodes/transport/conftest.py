"""A gateway that doubles its input, behind a real server on loopback: what a client sees is the protocol's layer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
import torch

from isthmus.errors import InvalidRequest, NotFound
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.gateway import InferRequest, InferResult, ModelDescription, ModelState, StageTimings, TensorDescription
from nodes.transport.gateway_server import GatewayService
from partitioner.plan import Prediction

DOUBLE = ModelDescription(
    "double",
    "0123456789ab",
    (TensorDescription("x", "float32", (-1, 3)),),
    (TensorDescription("y", "float32", (-1, 3), labels=("cat", "dog", "cow")),),
    max_batch=8,
)


class DoublingNode:
    """Implements Gateway. A first value of -1 is refused, -2 raises what nobody planned, -3 waits for `release`, -4 is
    answered in bfloat16."""

    def __init__(self) -> None:
        self.models_by_name: dict[str, ModelDescription | None] = {"double": DOUBLE}
        self.release = asyncio.Event()
        self.waiting = 0
        self.most_waiting = 0
        self.cancelled = 0
        self._changed = asyncio.Event()
        self.requests: list[InferRequest] = []

    def ready(self) -> bool:
        return True

    def describe_model(self, name: str) -> ModelDescription:
        described = self.models_by_name.get(name)
        if described is None:
            raise NotFound(f"model {name!r} is not loaded")
        return described

    def models(self) -> tuple[ModelState, ...]:
        return tuple(
            ModelState(name, one.version, "READY") if one else ModelState(name, "", "UNAVAILABLE", "unloaded")
            for name, one in self.models_by_name.items()
        )

    async def load_model(self, name: str) -> None:
        if name not in self.models_by_name:
            raise NotFound(f"model {name!r} is not configured")
        self.models_by_name[name] = DOUBLE

    async def unload_model(self, name: str) -> None:
        if name not in self.models_by_name:
            raise NotFound(f"model {name!r} is not configured")
        self.models_by_name[name] = None

    async def infer(self, request: InferRequest) -> InferResult:
        self.requests.append(request)
        x = request.inputs.values["x"]
        assert isinstance(x, torch.Tensor)
        first = float(x.reshape(-1)[0])
        if first == -1:
            raise InvalidRequest("input x", "is minus one")
        if first == -2:
            raise ZeroDivisionError
        if first == -3:
            await self._wait()
        doubled = (2 * x).to(torch.bfloat16 if first == -4 else x.dtype)
        stages = StageTimings(0.001, 0.002, 0.003, 0.004, 0.005, 0.006)
        predicted = Prediction(0.0, 0.0, 0.0, 0.0, 0.0)
        return InferResult("r", (("y", doubled),), "plan", stages, 10, "cloud", "test", predicted, "split", "latency")

    async def _wait(self) -> None:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        self._changed.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
            self._changed.set()

    async def until_waiting(self, requests: int) -> None:
        """Return once so many wait."""
        async with asyncio.timeout(5):
            while self.waiting != requests:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture(scope="session")
def doubling() -> Callable[[], DoublingNode]:
    """Makes such nodes, for tests that run loops of their own."""
    return DoublingNode


@pytest.fixture
async def node() -> DoublingNode:
    """The node behind `served`."""
    return DoublingNode()


@pytest.fixture
async def service(node: DoublingNode) -> GatewayService:
    """The service in front of `node`."""
    return GatewayService(node, "1.2.3")


@pytest.fixture
async def address(service: GatewayService) -> AsyncIterator[str]:
    """Where `service` answers."""
    server = service.server()
    yield await server.start("127.0.0.1:0", "edge.listen")
    await server.stop(0)


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to `address`."""
    async with grpc.aio.insecure_channel(address) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> open_inference_pb2_grpc.GRPCInferenceServiceAsyncStub:
    """A stub of the service."""
    return open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.fixture
def ask() -> Callable[..., oip.ModelInferRequest]:
    """Makes a request of one item, by its id and first value."""

    def made(request_id: str = "", first: float = 1.0) -> oip.ModelInferRequest:
        request = oip.ModelInferRequest(model_name="double", id=request_id)
        request.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend([first, 0.0, 5.0])
        return request

    return made
