"""One live run of a scenario: its arrivals sent when they are due, whatever is still under way, and taken down as a
simulated run is.

Latency counts from the moment a request was due, so that a generator that is late cannot hide a queue; how late it was
is told beside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fidelity_site import LiveSite, changes
from benchmarks.fidelity_subjects import Installed
from benchmarks.node_process import NodeProcess
from isthmus.client import Result
from isthmus.errors import DeadlineExceeded, IsthmusError, Overloaded
from partitioner.plan_table import PlanTable
from scheduler.policies.reason import plan_name
from simulations.fine_timer import FineTimer
from simulations.run_record import EndedRequest, Outcome, RunFacts, RunRecord, RunRecorder
from simulations.scenario.scenario import Scenario
from simulations.site_request import Arrival

__all__ = ["LiveRun", "live_run"]

LEAD_S = 0.2
_STAGES = ("edge_queue", "edge", "uplink", "cloud_queue", "cloud", "downlink")


@dataclass(frozen=True, slots=True)
class LiveRun:
    """What a run was, and how late its requests were sent (99th percentile): the generator's own doing."""

    record: RunRecord
    late_p99_s: float


class _Sender:
    """Sends the requests of one run."""

    def __init__(self, site: LiveSite, installed: Installed, table: PlanTable) -> None:
        self._site, self._installed = site, installed
        self._kinds = {entry.plan.plan_id: entry.plan.kind for entry in table.entries}
        self.recorder = RunRecorder()
        self.late_s: list[float] = []

    async def send(self, arrival: Arrival, due_s: float) -> None:
        """One request, until it has ended. due_s: on the loop's clock."""
        clock = asyncio.get_running_loop().time
        self.late_s.append(clock() - due_s)
        result, outcome, reason = None, "answered", ""
        try:
            result = await self._site.client.infer(
                self._installed.name,
                self._installed.inputs,  # type: ignore[arg-type]
                timeout_s=arrival.timeout_s,
                request_class=arrival.request_class or None,
            )
        except IsthmusError as error:
            outcome, reason = _outcome(error)
        self.recorder.add(self._ended(arrival, clock() - due_s, result, outcome, reason))

    def _ended(self, arrival: Arrival, took_s: float, result: Result | None, outcome: str, reason: str) -> EndedRequest:
        told: Mapping[str, Any] = {}
        if result is not None:
            stages = {f"{name}_s": 1e-3 * result.timings[name] for name in _STAGES}
            kind = self._kinds.get(result.plan_id, "unknown")
            if kind != "edge-only" and result.parameters["isthmus_finished_by"] == "edge":
                outcome = "resumed"
            told = stages | {"plan": result.plan_id, "kind": kind}
        return EndedRequest(
            arrival.time_s,
            took_s,
            timeout_s=float("inf") if arrival.timeout_s is None else arrival.timeout_s,
            outcome=_checked(outcome),
            reason=reason,
            client=arrival.client,
            model=self._installed.name,
            request_class=arrival.request_class,
            **told,
        )


def _outcome(error: IsthmusError) -> tuple[Outcome, str]:
    """As the simulator tells it."""
    if isinstance(error, DeadlineExceeded):
        return "dropped", "deadline"
    if isinstance(error, Overloaded):
        return "refused", "shed"
    return "failed", type(error).__name__


async def live_run(
    site: LiveSite, installed: Installed, scenario: Scenario, arrivals: Sequence[Arrival], table: PlanTable, run: int
) -> LiveRun:
    """arrivals: of this run, in their order. table: to know plans by."""
    loop = asyncio.get_running_loop()
    sender, began_s = _Sender(site, installed, table), loop.time() + LEAD_S
    until_s = arrivals[-1].time_s
    beside = [
        asyncio.create_task(_at(began_s, _shapes(site, scenario, until_s))),
        asyncio.create_task(_at(began_s, _faults(site, scenario, until_s))),
    ]
    due = _due(arrivals, began_s)
    sending = [asyncio.create_task(sender.send(arrival, began_s + arrival.time_s)) async for arrival in due]
    await asyncio.gather(*sending)
    for task in beside:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    titles = {entry.plan.plan_id: plan_name(entry.plan) for entry in table.entries}
    facts = RunFacts(scenario.name, scenario.seed, scenario.duration, scenario.warm_up, run, titles, ("live",))
    return LiveRun(sender.recorder.finish(facts), float(np.quantile(sender.late_s, 0.99)))


async def _due(arrivals: Sequence[Arrival], began_s: float) -> Any:
    """Each arrival when it is due, late by 0.1 ms."""
    loop, now = asyncio.get_running_loop(), asyncio.Event()
    timer = FineTimer(now.set)
    try:
        for arrival in arrivals:
            if loop.time() < began_s + arrival.time_s:
                now.clear()
                timer.arm(began_s + arrival.time_s)
                await now.wait()
            yield arrival
    finally:
        timer.close()


Action = Callable[[], Awaitable[None]]


async def _at(began_s: float, actions: Iterable[tuple[float, Action]]) -> None:
    """Do these at their times, each after the one before."""
    loop = asyncio.get_running_loop()
    for time_s, act in actions:
        await asyncio.sleep(max(0.0, began_s + time_s - loop.time()))
        await act()


def _shapes(site: LiveSite, scenario: Scenario, until_s: float) -> Iterable[tuple[float, Action]]:
    for time_s, shape in changes(scenario, until_s):

        async def take(shape: Any = shape) -> None:
            await asyncio.to_thread(site.link.set_shape, shape)

        yield time_s, take


def _faults(site: LiveSite, scenario: Scenario, until_s: float) -> Iterable[tuple[float, Action]]:
    """Replicas are killed; others start in their places so that they serve when it is over. Those have done their
    imports before the run, as far as this machine can help it, for seconds of a core are no part of the scenario."""
    steps: list[tuple[float, Action]] = []
    assert isinstance(scenario.cloud.failures, tuple)
    for fault in scenario.cloud.failures:
        after = NodeProcess("cloud", site.cloud)
        after.spawn()

        async def kill(number: int = fault.replica, after: NodeProcess = after) -> None:
            before, site.replicas[number] = site.replicas[number], after
            await before.end(kill=True)

        steps.append((fault.at, kill))
        if fault.at + fault.lasts < until_s:
            steps.append((max(fault.at, fault.at + fault.lasts - site.started_s), after.start))
    return sorted(steps, key=lambda step: step[0])


def _checked(outcome: str) -> Outcome:
    assert outcome in ("answered", "resumed", "refused", "dropped", "failed")
    return outcome  # type: ignore[return-value]
