"""What an operator asks of an edge, over real gRPC."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import grpc
import pytest
from structlog.testing import capture_logs

from isthmus.errors import InvalidRequest, NotFound, PermissionDenied, Unavailable
from isthmus.v1 import operator_pb2 as pb
from isthmus.v1 import operator_pb2_grpc
from nodes.gateway import ModelState
from nodes.limits import EDGE_LIMITS
from nodes.sight.view import EdgeView
from nodes.steering import EVERYTHING, Canary, PolicySetting, Scope, ShadowReport, Steering
from nodes.transport.grpc_server import GrpcServer
from nodes.transport.operator_client import OperatorClient
from nodes.transport.operator_service import SERVICE, OperatorService
from tests.nodes.sight.views import reading, view


class Steered:
    """Takes every policy but "bad"."""

    def __init__(self) -> None:
        self.steering = Steering({EVERYTHING: PolicySetting("latency")})
        self.shadow_report = ShadowReport(7, 5, 1, 0.25)

    def steer(self, steering: Steering) -> None:
        if any(setting.name == "bad" for setting in steering.settings()):
            raise NotFound("policy: there is no 'bad'")
        self.steering = steering

    def explain(self, request_id: str) -> str:
        if request_id == "gone":
            raise NotFound("request 'gone' is not known here")
        return json.dumps({"request_id": request_id})


MODELS = ModelState("net", "1", "READY"), ModelState("other", "1", "READY", cloud_required=True)


class Shown:
    """An edge with three moments behind it."""

    def look(self, since: int) -> EdgeView:
        seen = view(*(reading(2.0 * number) for number in (1, 2, 3)))
        return replace(seen, moments=seen.moments[since:])


class Ordered:
    """Counts orders; one that comes again is under way."""

    def __init__(self) -> None:
        self.orders = 0

    def order(self) -> bool:
        self.orders += 1
        return self.orders == 1


@dataclass
class Served:
    edge: Steered
    client: OperatorClient
    address: str
    remeasuring: Ordered


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    edge = Steered()
    remeasuring = Ordered()
    server = GrpcServer([SERVICE], OperatorService(edge, Shown(), EDGE_LIMITS, remeasuring, lambda: MODELS).add_to)
    address = await server.start("127.0.0.1:0", "edge.listen")
    client = OperatorClient(address)
    yield Served(edge, client, address, remeasuring)
    await client.close()
    await server.stop(0)


async def test_a_request_is_explained(served: Served) -> None:
    assert json.loads(await served.client.explain("r1")) == {"request_id": "r1"}
    with pytest.raises(NotFound, match="gone"):
        await served.client.explain("gone")


async def test_an_edge_is_looked_at_from_the_last_known_moment_on(served: Served) -> None:
    told = json.loads(await served.client.sight(since=1))
    assert told["edge"]["id"] == "edge"
    assert [moment["number"] for moment in told["history"]["moments"]] == [2, 3]


async def test_policies_are_set_and_taken_back(served: Served) -> None:
    client, alarm = served.client, Scope("net", "alarm")
    slow = PolicySetting("slo", {"probability": 0.99, "among": ["a", "b"]})
    made = await client.set_policy(alarm, slow)
    assert made.policies == {EVERYTHING: PolicySetting("latency"), alarm: slow} == served.edge.steering.policies
    assert (await client.unset_policy(alarm)).policies == {EVERYTHING: PolicySetting("latency")}
    with pytest.raises(NotFound, match="class alarm has none"):
        await client.unset_policy(alarm)
    with pytest.raises(InvalidRequest, match="need a policy"):
        await client.unset_policy(EVERYTHING)


async def test_shadow_and_canary_are_set_apart(served: Served) -> None:
    client, cost, energy = served.client, PolicySetting("cost"), PolicySetting("energy", {"weight": 2})
    assert await client.steering() == (Steering({EVERYTHING: PolicySetting("latency")}), ShadowReport())
    await client.set_shadow(energy)
    await client.set_canary(Canary(cost, 0.1))
    expected = Steering({EVERYTHING: PolicySetting("latency")}, energy, Canary(cost, 0.1))
    assert await client.steering() == (expected, ShadowReport(7, 5, 1, 0.25))
    await client.set_shadow(None)
    assert (await client.set_canary(None)) == Steering({EVERYTHING: PolicySetting("latency")})


async def test_what_the_configuration_says_is_told_beside_what_an_operator_set(served: Served) -> None:
    client, latency, alarm = served.client, PolicySetting("latency"), Scope("", "alarm")
    served.edge.steering = Steering({EVERYTHING: latency}, configured={EVERYTHING: latency})
    await client.set_shadow(PolicySetting("cost"))
    await client.set_canary(Canary(latency, 0.1))
    now = await client.set_policy(alarm, PolicySetting("energy"))
    assert now.configured == {EVERYTHING: latency}
    assert now.by_operator == {alarm: PolicySetting("energy")}


async def test_plans_are_ordered_to_be_measured_again_once(served: Served) -> None:
    assert [await served.client.remeasure(), await served.client.remeasure()] == [True, False]


async def test_a_refused_change_changes_nothing(served: Served) -> None:
    before = served.edge.steering
    with pytest.raises(NotFound, match="bad"):
        await served.client.set_policy(EVERYTHING, PolicySetting("bad"))
    assert served.edge.steering is before


async def test_a_policy_for_a_model_that_is_not_served_is_refused(served: Served) -> None:
    before = served.edge.steering
    with pytest.raises(NotFound, match="model 'nett' is not served here; models: net, other"):
        await served.client.set_policy(Scope("nett", ""), PolicySetting("latency"))
    assert served.edge.steering is before


async def test_what_was_changed_is_logged_with_scope_and_policy(served: Served) -> None:
    client, slow, alarm = served.client, PolicySetting("slo", {"probability": 0.99}), Scope("net", "alarm")
    with capture_logs() as lines:
        await client.set_policy(alarm, slow)
        await client.unset_policy(alarm)
        await client.set_shadow(slow)
        await client.set_canary(Canary(slow, 0.1))
        await client.set_canary(None)
    assert [line["change"] for line in lines if line["event"] == "policies changed"] == [
        "model net, class alarm: slo (probability=0.99)",
        "model net, class alarm: no policy of its own",
        "shadow: slo (probability=0.99)",
        "canary, 0.1 of the requests: slo (probability=0.99)",
        "canary: off",
    ]


@pytest.mark.parametrize(
    ("request_message", "fault"),
    [
        (pb.SteerRequest(), "change: is missing"),
        (pb.SteerRequest(set_shadow=pb.PolicySetting()), "policy.name: is missing"),
        (pb.SteerRequest(set_shadow=pb.PolicySetting(name="x", options_json="{")), "options_json: is not JSON"),
        (pb.SteerRequest(set_shadow=pb.PolicySetting(name="x", options_json="[" * 9999)), "options_json: is not JSON"),
        (pb.SteerRequest(set_shadow=pb.PolicySetting(name="x", options_json="[]")), "options_json: is no JSON object"),
        (pb.SteerRequest(set_canary=pb.Canary(policy=pb.PolicySetting(name="x"), share=1.5)), "canary.share"),
        (pb.SteerRequest(set_canary=pb.Canary(policy=pb.PolicySetting(name="x"), share=float("nan"))), "canary.share"),
    ],
)
async def test_a_change_that_is_none_is_refused_by_field(
    served: Served, request_message: pb.SteerRequest, fault: str
) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        stub: operator_pb2_grpc.OperatorServiceAsyncStub = operator_pb2_grpc.OperatorServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Steer(request_message)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert fault in (refused.value.details() or "")


async def test_callers_from_elsewhere_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.transport.operators.is_local", lambda peer: False)
    client = served.client
    calls = (client.explain("r1"), client.sight(), client.steering(), client.set_shadow(None), client.remeasure())
    for call in calls:
        with pytest.raises(PermissionDenied, match="from this machine only"):
            await call
    assert served.edge.steering == Steering({EVERYTHING: PolicySetting("latency")})
    assert served.remeasuring.orders == 0


async def test_an_edge_that_is_not_there_is_unavailable() -> None:
    client = OperatorClient("127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await client.explain()
    await client.close()
