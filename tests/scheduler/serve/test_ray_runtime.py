"""What Ray raises of an edge that does not answer, told as ours."""

from __future__ import annotations

import pytest
from ray.exceptions import GetTimeoutError, RayActorError
from ray.serve.exceptions import RayServeException

from isthmus.errors import Unavailable
from scheduler.serve.ray_runtime import answer_of


class Answer:
    """As a call through a handle returns it. error: raised in place of an answer."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def result(self, timeout_s: float) -> str:
        if self._error is not None:
            raise self._error
        return "127.0.0.1:8001"


@pytest.mark.parametrize("error", [RayActorError(), GetTimeoutError("late"), TimeoutError(), RayServeException("none")])
async def test_an_edge_that_does_not_answer_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable, match="edge application: does not answer"):
        await answer_of(lambda: Answer(error), 1.0)


async def test_an_edge_that_answers_is_heard() -> None:
    assert await answer_of(Answer, 1.0) == "127.0.0.1:8001"
