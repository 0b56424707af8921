"""A step of ten times in load, up and down again, on cloud replicas that Ray Serve scales by their queued work.

Paced engine (real outputs, times of a profile, asleep instead of busy): a request takes a replica 60 ms. Requests
arrive at random (Poisson) at 3.3/s, 0.2 of a replica; then at 33/s, 2 replicas' worth; then at 3.3/s again. The model
is cloud-required, so a request that no replica answers within 30 s fails. Printed for each step up, from its moment on:
when more replicas were decided on, when the last of them ran, when the first new one had answered a request, and when
the 99th percentile (of windows of 2 s) was back inside 500 ms to stay.

The figure is the requests that failed from the step down on, while replicas drain and go; the goal is none. At the end
the cloud, at rest, goes to zero replicas, and a request wakes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from benchmarks.figure import Figure, machine, parse_options, report
from benchmarks.judged_requests import Asked
from benchmarks.ray_site import RaySite, ray_site
from isthmus.errors import IsthmusError
from scheduler.autoscaling import AutoscalingRule

REQUEST_S, LOW_RATE, STEP = 0.06, 0.2 / 0.06, 10.0
DEADLINE_S, SLO_S, WINDOW_S, LOOK_S = 30.0, 0.5, 2.0, 0.1
# No more than four: each takes seconds of CPU to start (it imports torch), and all share two cores with the load.
RULE = AutoscalingRule(0, 4, target_queue_s=0.1, scale_down_after_s=8.0)
AT_REST_S, MOST_DOWN_S, WAKE_S = 3.0, 40.0, 60.0


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


async def load(site: RaySite, rate: float, seconds: float, rng: random.Random) -> list[Sent]:
    """Poisson arrivals; returns when all are answered."""
    over_s, tasks, due_s = time.monotonic() + seconds, list[asyncio.Task[Sent]](), time.monotonic()

    async def one(seed: int) -> Sent:
        sent_s = time.monotonic()
        return Sent(sent_s, await site.ask(seed, DEADLINE_S))

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


async def step_up_and_down(site: RaySite, up_s: float, rng: random.Random) -> Step:
    step = Step()
    await load(site, LOW_RATE, AT_REST_S, rng)
    began_s = time.monotonic()
    watching = asyncio.create_task(watch(site, step, began_s))
    step.up = await load(site, STEP * LOW_RATE, up_s, rng)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    step.inside_s, step.worst_p99_s = inside_s(step.up, began_s)
    over_s = time.monotonic() + MOST_DOWN_S
    while time.monotonic() < over_s and sum((await asyncio.to_thread(states)).values()) > 1:
        step.down += await load(site, LOW_RATE, 1.0, rng)
    step.down += await load(site, LOW_RATE, 2.0, rng)
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


async def measure(steps: int, up_s: float, seed: int) -> tuple[list[Step], tuple[float, float]]:
    rng = random.Random(seed)
    async with ray_site(RULE, REQUEST_S) as site:
        done = [await step_up_and_down(site, up_s, rng) for _ in range(steps)]
        return done, await to_zero_and_back(site)


def main() -> None:
    options = parse_options(__doc__ or "")
    steps, (to_zero_s, wake_s) = asyncio.run(measure(*((1, 36.0) if options.quick else (5, 45.0)), options.seed))
    down = [one for step in steps for one in step.down]
    up = [one for step in steps for one in step.up]
    failed = sum(bool(one.asked.error) for one in down)
    wrong = sum(not one.asked.error and not one.asked.right for one in (*up, *down))
    names = {
        "decided": "decided_s", "last replica runs": "running_s", "first answer of a new one": "first_answer_s",
        "p99 inside 500 ms to stay": "inside_s", "worst p99 (2 s windows)": "worst_p99_s", "replicas": "replicas",
    }  # fmt: skip
    rows = [
        f"{name:28} median {median(values):6.2f}   {' '.join(f'{value:.2f}' for value in values)}"
        for name, key in names.items()
        for values in [[float(getattr(step, key)) for step in steps]]
    ]
    details = {
        "engine": f"paced, {REQUEST_S * 1e3:g} ms a request",
        "seconds from the step up": rows,
        "failed on the way up": f"{sum(bool(one.asked.error) for one in up)} of {len(up)}",
        "failed on the way down": f"{failed} of {len(down)}",
        "wrong": wrong,
        "errors": dict(Counter(one.asked.error.partition(":")[0] for one in (*up, *down) if one.asked.error)),
        "at rest, to zero replicas": f"{to_zero_s:.1f} s",
        "from zero, the first answer": f"{wake_s:.1f} s after the first request",
        "rule": str(RULE),
        "limited by": "the start of replicas: each takes 5 s of CPU (Ray's worker, torch), all at once, on two cores "
        "that bear edge, clients and load too",
    }
    holds = failed == 0 and wrong == 0
    numbers = (float(failed), float(failed), float(failed), 0.0, len(down), 0.0, holds)
    report(Figure("autoscale", *numbers, machine(), options.seed, "holds" if holds else "missed", details), options)


if __name__ == "__main__":
    main()
