"""Load on a site that goes up in a step and down again, and what becomes of its replicas meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.judged_requests import Asked
from benchmarks.ray_site import RaySite
from isthmus.errors import IsthmusError

__all__ = [
    "SLO_S",
    "WINDOW_S",
    "Rates",
    "Sent",
    "Step",
    "inside_s",
    "most_per_s",
    "step_up_and_down",
    "to_zero_and_back",
]

DEADLINE_S, SLO_S, WINDOW_S, LOOK_S = 30.0, 0.5, 2.0, 0.1
AT_REST_S, MOST_DOWN_S, WAKE_S = 3.0, 40.0, 60.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a second, before and after the step."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sent:
    """A request. sent_s: on the monotonic clock."""

    sent_s: float
    asked: Asked


@dataclass
class Step:
    """One step up and down. Times are seconds from the step up, NaN for what was not seen."""

    decided_s: float = float("nan")
    running_s: float = float("nan")
    first_answer_s: float = float("nan")
    inside_s: float = float("nan")
    replicas: int = 0
    worst_p99_s: float = 0.0
    up: list[Sent] = field(default_factory=list)
    down: list[Sent] = field(default_factory=list)


async def most_per_s(site: RaySite, clients: int, seconds: float) -> float:
    """Requests a second that are answered when so many clients ask without a pause."""
    over_s = time.monotonic() + seconds

    async def one(number: int) -> int:
        answered = 0
        while time.monotonic() < over_s:
            answered += not (await site.ask(number + clients * answered, DEADLINE_S)).error
        return answered

    began_s = time.monotonic()
    answered = sum(await asyncio.gather(*(one(number) for number in range(clients))))
    return answered / (time.monotonic() - began_s)


async def load(site: RaySite, rate: float, seconds: float, rng: random.Random) -> list[Sent]:
    """Poisson arrivals; returns when all are answered."""
    over_s, tasks, due_s = time.monotonic() + seconds, list[asyncio.Task[Sent]](), time.monotonic()

    async def one(number: int) -> Sent:
        sent_s = time.monotonic()
        return Sent(sent_s, await site.ask(number, DEADLINE_S))

    while (due_s := due_s + rng.expovariate(rate)) < over_s:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        tasks.append(asyncio.create_task(one(rng.randrange(2**31))))
    return list(await asyncio.gather(*tasks))


def states() -> Mapping[str, int]:
    """How many replicas Serve has in each state."""
    from ray import serve

    deployment = serve.status().applications["cloud"].deployments["cloud"]
    return {str(getattr(state, "value", state)): count for state, count in deployment.replica_states.items()}


async def watch(site: RaySite, step: Step, began_s: float) -> None:
    """Note what becomes of the replicas, until cancelled."""
    before = {replica.replica_id for replica in site.registry.view().replicas}
    while True:
        seen = await asyncio.to_thread(states)
        now_s, there = time.monotonic() - began_s, seen.get("RUNNING", 0) + seen.get("STARTING", 0)
        if there > max(1, step.replicas):
            step.replicas = there
            step.decided_s = now_s if step.decided_s != step.decided_s else step.decided_s
            step.running_s = float("nan")
        if step.replicas and seen.get("RUNNING", 0) >= step.replicas and step.running_s != step.running_s:
            step.running_s = now_s
        if step.first_answer_s != step.first_answer_s and await _a_new_one_answered(site, before):
            step.first_answer_s = time.monotonic() - began_s
        await asyncio.sleep(LOOK_S)


async def _a_new_one_answered(site: RaySite, before: set[str]) -> bool:
    for connection in site.edge.node.replicas.connections:
        with contextlib.suppress(IsthmusError):
            said = await connection.describe()
            if said.replica_id not in before and said.counts.get("executed", 0):
                return True
    return False


def inside_s(sent: Sequence[Sent], began_s: float) -> tuple[float, float]:
    """From when on all windows of the step have their p99 inside the SLO, and the worst window's p99."""
    windows: dict[int, list[float]] = {}
    for one in sent:
        took_s = float("inf") if one.asked.error else one.asked.ended_s - one.sent_s
        windows.setdefault(int((one.sent_s - began_s) / WINDOW_S), []).append(took_s)
    p99 = {window: float(np.quantile(took, 0.99, method="higher")) for window, took in sorted(windows.items())}
    outside = [window for window, value in p99.items() if value > SLO_S]
    back_s = (max(outside, default=-1) + 1) * WINDOW_S
    return (back_s if max(outside, default=-1) < max(p99) else float("nan")), max(p99.values())


async def step_up_and_down(site: RaySite, rates: Rates, up_s: float, rng: random.Random) -> Step:
    """Rest, the high rate for `up_s`, then the low one until a single replica is left."""
    step = Step()
    await load(site, rates.low, AT_REST_S, rng)
    began_s = time.monotonic()
    watching = asyncio.create_task(watch(site, step, began_s))
    step.up = await load(site, rates.high, up_s, rng)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    step.inside_s, step.worst_p99_s = inside_s(step.up, began_s)
    over_s = time.monotonic() + MOST_DOWN_S
    while time.monotonic() < over_s and sum((await asyncio.to_thread(states)).values()) > 1:
        step.down += await load(site, rates.low, 1.0, rng)
    step.down += await load(site, rates.low, 2.0, rng)
    return step


async def to_zero_and_back(site: RaySite) -> tuple[float, float]:
    """Seconds until no replica is left, and from the first request then to the first that is answered."""
    began_s = time.monotonic()
    there = True
    async with asyncio.timeout(WAKE_S):
        while there:
            await asyncio.sleep(LOOK_S)
            there = bool(await asyncio.to_thread(states) or site.edge.node.replicas.seen)
        gone_s, error = time.monotonic(), "none asked yet"
        while error:
            await asyncio.sleep(LOOK_S)
            error = (await site.ask(1, 5.0)).error
    return gone_s - began_s, time.monotonic() - gone_s
