"""Requests without a pause while a model is rolled over, each answer judged by the version that may have made it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.judged_requests import MODEL, inputs_of, is_of, whole_answer
from isthmus.client import AsyncClient
from isthmus.errors import IsthmusError
from partitioner.model import Model

__all__ = ["Answer", "Clients", "Turn", "during", "failures_told", "wrong_answers"]

CLIENTS, DEADLINE_S, PAUSE_S = 4, 10.0, 0.005
MOST_TOLD = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """sent_s: on the monotonic clock. version: of the model that it is of, -1 for none. error: "" for none."""

    sent_s: float
    took_s: float
    version: int
    finished_by: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One saved file, and what the launcher said of it. before, after: the version of the model that serves. resent,
    late_answers: what the edge counted meanwhile."""

    kind: str
    said: str
    before: int
    after: int
    began_s: float
    ended_s: float
    resent: int = 0
    late_answers: int = 0


class Clients:
    """Ask one request after the other until they are told to stop."""

    def __init__(self, gateway: str, models: Sequence[Model]) -> None:
        self.answers: list[Answer] = []
        self._gateway, self._models, self._over = gateway, models, False

    async def run(self) -> None:
        """Until `stop`."""
        async with AsyncClient(self._gateway) as client:
            await asyncio.gather(*(self._ask_on(client, number) for number in range(CLIENTS)))

    def stop(self) -> None:
        """No request begins from now on."""
        self._over = True

    async def _ask_on(self, client: AsyncClient, number: int) -> None:
        while not self._over:
            self.answers.append(await self._answer(client, number))
            number += CLIENTS
            await asyncio.sleep(PAUSE_S)

    async def _answer(self, client: AsyncClient, number: int) -> Answer:
        inputs, sent_s = inputs_of(number), time.monotonic()
        try:
            result = await client.infer(MODEL, {self._models[0].interface.inputs[0].name: inputs}, timeout_s=DEADLINE_S)
        except IsthmusError as error:
            return Answer(sent_s, time.monotonic() - sent_s, -1, "", f"{type(error).__name__}: {error}")
        took_s, (answer,) = time.monotonic() - sent_s, result.outputs.values()
        right = [is_of(answer, whole_answer(model, inputs)) for model in self._models]
        version = right.index(True) if sum(right) == 1 else -1
        return Answer(sent_s, took_s, version, str(result.parameters["isthmus_finished_by"]))


def during(one: Answer, turns: Sequence[Turn]) -> str:
    """Which turn a request ended in, in words."""
    ended_s = one.sent_s + one.took_s
    for turn in turns:
        if turn.began_s < ended_s <= turn.ended_s:
            return f"{turn.kind}, {ended_s - turn.began_s:.0f} of {turn.ended_s - turn.began_s:.0f} s"
    return "between"


def failures_told(answers: Sequence[Answer], turns: Sequence[Turn]) -> list[str]:
    """A line for each failed request, of the first MOST_TOLD: how long after which turn began it ended, what it took,
    and its error."""
    failed = [one for one in answers if one.error]
    lines = [f"{_place(one, turns)}, took {one.took_s:.2f} s: {one.error}" for one in failed[:MOST_TOLD]]
    return [*lines, f"and {len(failed) - MOST_TOLD} more"] if len(failed) > MOST_TOLD else lines


def _place(one: Answer, turns: Sequence[Turn]) -> str:
    ended_s = one.sent_s + one.took_s
    begun = [turn for turn in turns if turn.began_s < ended_s]
    if not begun:
        return "before the first turn"
    turn = begun[-1]
    over = "" if ended_s <= turn.ended_s else f", {ended_s - turn.ended_s:.2f} s after its end"
    return f"{turn.kind}, {ended_s - turn.began_s:.2f} s after its beginning{over}"


def wrong_answers(answers: Sequence[Answer], turns: Sequence[Turn]) -> int:
    """Answers of a version that could not be asked when they were. turns: in their order."""
    return sum(not one.error and one.version not in _allowed(one, turns) for one in answers)


def _allowed(one: Answer, turns: Sequence[Turn]) -> set[int]:
    allowed = {turns[0].before} if turns else {0}
    for turn in turns:
        if one.sent_s > turn.ended_s:
            allowed = {turn.after}
        elif one.sent_s + one.took_s > turn.began_s:
            allowed |= {turn.before, turn.after}
    return allowed
