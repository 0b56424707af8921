"""An operator's side of `OperatorService`."""

from __future__ import annotations

import grpc

from isthmus.v1 import operator_pb2 as pb
from isthmus.v1 import operator_pb2_grpc
from nodes.steering import Canary, PolicySetting, Scope, ShadowReport, Steering
from nodes.tls_files import TlsFiles
from nodes.transport.credentials import open_channel
from nodes.transport.operator_messages import canary_message, policy_message, scope_message, steering_from_message
from nodes.transport.status import error_of

__all__ = ["OperatorClient"]

CALL_TIMEOUT_S = 10.0


class OperatorClient:
    """Steers the edge at `target`. Every method raises Unavailable where none answers, PermissionDenied from another
    machine, and what its own words say."""

    def __init__(self, target: str, tls: TlsFiles | None = None) -> None:
        """Raises InvalidConfiguration for TLS files that are not what they should be."""
        self._target = target
        self._channel = open_channel(target, tls)
        self._stub: operator_pb2_grpc.OperatorServiceAsyncStub = operator_pb2_grpc.OperatorServiceStub(self._channel)

    async def explain(self, request_id: str = "") -> str:
        """The record of a request, a JSON object; of the newest one without an id. Raises NotFound."""
        try:
            response = await self._stub.Explain(pb.ExplainRequest(request_id=request_id), timeout=CALL_TIMEOUT_S)
        except grpc.RpcError as error:
            raise error_of(error, self._target) from None
        return response.record_json

    async def steering(self) -> tuple[Steering, ShadowReport]:
        """What is in force."""
        try:
            return steering_from_message(await self._stub.GetSteering(pb.GetSteeringRequest(), timeout=CALL_TIMEOUT_S))
        except grpc.RpcError as error:
            raise error_of(error, self._target) from None

    async def sight(self, since: int = 0) -> str:
        """How the edge stands (docs/sight.md), a JSON object, with the moments after the one of that number."""
        try:
            response = await self._stub.GetSight(pb.GetSightRequest(since=since), timeout=CALL_TIMEOUT_S)
        except grpc.RpcError as error:
            raise error_of(error, self._target) from None
        return response.sight_json

    async def remeasure(self) -> bool:
        """Have the edge measure its plans again when it is idle; False where that was under way already."""
        try:
            return not (await self._stub.Remeasure(pb.RemeasureRequest(), timeout=CALL_TIMEOUT_S)).under_way
        except grpc.RpcError as error:
            raise error_of(error, self._target) from None

    async def set_policy(self, scope: Scope, policy: PolicySetting) -> Steering:
        """That policy for that scope. Raises NotFound for an unknown one, InvalidRequest for wrong options."""
        scoped = pb.ScopedPolicy(scope=scope_message(scope), policy=policy_message(policy))
        return await self._steer(pb.SteerRequest(set_policy=scoped))

    async def unset_policy(self, scope: Scope) -> Steering:
        """No policy of its own for that scope. Raises NotFound where it has none."""
        return await self._steer(pb.SteerRequest(unset_policy=scope_message(scope)))

    async def set_shadow(self, policy: PolicySetting | None) -> Steering:
        """A policy that decides and is logged, without effect; None for none."""
        if policy is None:
            return await self._steer(pb.SteerRequest(unset_shadow=True))
        return await self._steer(pb.SteerRequest(set_shadow=policy_message(policy)))

    async def set_canary(self, canary: Canary | None) -> Steering:
        """A policy for a share of the requests; None for none."""
        if canary is None:
            return await self._steer(pb.SteerRequest(unset_canary=True))
        return await self._steer(pb.SteerRequest(set_canary=canary_message(canary)))

    async def close(self) -> None:
        """Let the connection go."""
        await self._channel.close()

    async def _steer(self, request: pb.SteerRequest) -> Steering:
        try:
            return steering_from_message(await self._stub.Steer(request, timeout=CALL_TIMEOUT_S))[0]
        except grpc.RpcError as error:
            raise error_of(error, self._target) from None
