"""What became of a request, as whoever decides keeps it."""

from __future__ import annotations

import asyncio

from isthmus.errors import error_words
from nodes.chooser import Outcome, Refused
from nodes.gateway import InferRequest
from nodes.request_run import Answer

__all__ = ["outcome_of", "refusal"]


def outcome_of(request_id: str, answer: Answer) -> Outcome:
    """Of one that was answered."""
    stages = answer.timings._asdict()
    return Outcome(
        request_id,
        **stages,
        wire_bytes=answer.wire_bytes,
        finished_by=answer.finished_by,
        sendings=answer.sendings,
        replica=answer.replica,
    )


def refusal(request: InferRequest, came_s: float, error: BaseException) -> Refused:
    """Of one that ended before a plan was chosen. error: that ended it."""
    inputs = request.inputs
    waited = isinstance(error, asyncio.CancelledError)
    return Refused(
        came_s=came_s,
        model=request.model,
        form="bytes" if inputs.file_bytes else "tensor",
        batch=inputs.batch,
        file_bytes=inputs.file_bytes,
        timeout_s=request.timeout_s,
        asked_s=request.asked_s,
        priority=request.priority,
        client=request.client,
        request_class=request.request_class,
        policy=request.policy,
        plan_id=request.plan_id,
        failure="its deadline passed, or its client left, before its turn" if waited else error_words(error),
        request_id=request.request_id,
    )
