"""What operators ask of an edge, over gRPC: explain a request, see how the edge stands, see and change the policies,
have its plans measured again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol

import grpc

from isthmus.errors import IsthmusError
from isthmus.telemetry import get_logger
from isthmus.v1 import operator_pb2 as pb
from isthmus.v1 import operator_pb2_grpc
from nodes.background import run_apart
from nodes.gateway import ModelState
from nodes.limits import NodeLimits
from nodes.sight.document import sight_json
from nodes.sight.view import EdgeView
from nodes.steering import Steerable
from nodes.steering_checks import check_steering
from nodes.transport.guarded_service import add_guarded
from nodes.transport.operator_messages import change_words, changed, steering_message
from nodes.transport.operators import check_operator
from nodes.transport.status import abort

__all__ = ["SERVICE", "OperatorService"]

SERVICE = pb.DESCRIPTOR.services_by_name["OperatorService"].full_name
Context = grpc.aio.ServicerContext[Any, Any]


class Seen(Protocol):
    """What shows itself: see `nodes.sight.edge_sight.EdgeSight`."""

    def look(self, since: int) -> EdgeView:
        """All of it, with the moments after the one of that number."""
        ...


class Remeasurable(Protocol):
    """What measures plans again: see `nodes.remeasuring.Remeasuring`."""

    def order(self) -> bool:
        """Whether it was not under way already."""
        ...


class OperatorService(operator_pb2_grpc.OperatorServiceServicer):
    """The servicer in front of an edge's chooser and of its sight. Only callers on the edge's own machine are answered:
    a record tells who asked for what."""

    def __init__(
        self, steered: Steerable, sight: Seen, limits: NodeLimits, remeasuring: Remeasurable,
        models: Callable[[], Collection[ModelState]],
    ) -> None:  # fmt: skip
        """models: that the edge is configured with."""
        self._steered, self._sight, self._remeasuring, self._models = steered, sight, remeasuring, models
        self._limits = limits
        self._log = get_logger("operator")

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the service."""
        add_guarded(
            server, SERVICE, partial(operator_pb2_grpc.add_OperatorServiceServicer_to_server, self), self._limits
        )

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:  # noqa: N802
        """The record of one request."""
        try:
            check_operator(context, "explaining a request")
            return pb.ExplainResponse(record_json=self._steered.explain(request.request_id))
        except IsthmusError as error:
            await abort(context, error)

    async def GetSteering(self, request: pb.GetSteeringRequest, context: Context) -> pb.Steering:  # noqa: N802
        """The policies in force."""
        try:
            check_operator(context, "reading the policies in force")
        except IsthmusError as error:
            await abort(context, error)
        return self._now()

    async def Steer(self, request: pb.SteerRequest, context: Context) -> pb.Steering:  # noqa: N802
        """One change; the answer is what is in force after it."""
        try:
            check_operator(context, "changing a policy")
            before = self._steered.steering
            after = changed(before, request)
            check_steering(before, after, self._models())
            self._steered.steer(after)
        except IsthmusError as error:
            await abort(context, error)
        self._log.warning("policies changed", change=change_words(request), peer=context.peer())
        return self._now()

    async def Remeasure(self, request: pb.RemeasureRequest, context: Context) -> pb.RemeasureResponse:  # noqa: N802
        """Order it."""
        try:
            check_operator(context, "having plans measured again")
        except IsthmusError as error:
            await abort(context, error)
        ordered = self._remeasuring.order()
        self._log.warning("plans to be measured again", peer=context.peer())
        return pb.RemeasureResponse(under_way=not ordered)

    async def GetSight(self, request: pb.GetSightRequest, context: Context) -> pb.GetSightResponse:  # noqa: N802
        """How the edge stands. The facts are taken at once, the document of them is made apart: it takes
        milliseconds."""
        try:
            check_operator(context, "looking at the edge")
        except IsthmusError as error:
            await abort(context, error)
        view = self._sight.look(request.since)
        return pb.GetSightResponse(sight_json=await run_apart(sight_json, view))

    def _now(self) -> pb.Steering:
        return steering_message(self._steered.steering, self._steered.shadow_report)
