"""Watches for stages that drifted from what was measured of them, and has the edge measure its plans again: in the
background, while it has nothing else to do, and not often."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace

from isthmus.telemetry import get_logger
from nodes.drift import NEVER_REMEASURED, Drift, Drifting, DriftStage, RemeasureState
from nodes.edge_node import EdgeNode
from nodes.edge_times import QuietTimer
from nodes.remeasure_pace import RemeasurePace

__all__ = ["Remeasuring"]

LOOK_S = 2.0
# Between two requests of one client that waits for its answers there is less.
QUIET_S = 0.1


class Remeasuring:
    """`start` it on the node's event loop, `stop` it before the node drains."""

    def __init__(self, node: EdgeNode, drifting: Drifting, look_s: float = LOOK_S) -> None:
        """look_s: how often it looks for alarms."""
        self._node, self._drifting, self._look_s = node, drifting, look_s
        self._timer = QuietTimer(node.queue.pool, self._quiet)
        self._pace = RemeasurePace()
        self._ordered = asyncio.Event()
        self._known: dict[tuple[str, DriftStage], Drift] = {}
        self._task: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._log = get_logger("edge")
        self.state = NEVER_REMEASURED

    def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Look no more; what is being measured is left as it was."""
        tasks = [task for task in (self._task, self._measuring) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def order(self) -> bool:
        """Measure again as soon as it is quiet, whatever the pace. False where that was under way already."""
        under_way = self._ordered.is_set() or self.state.standing == "measuring"
        if not under_way:
            self._ordered.set()
        return not under_way

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ordered.wait(), self._look_s)
            now_s = time.monotonic()
            drifts = self._drifting.drifts(now_s)
            self._tell(drifts)
            drifted = any(one.stage == "edge" for one in drifts)
            measuring = self._measuring is not None and not self._measuring.done()
            if not measuring and (self._ordered.is_set() or self._pace.due(drifted, now_s)):
                self._ordered.clear()
                before, self.state = self.state, replace(self.state, standing="measuring")
                self._measuring = asyncio.create_task(self._measure(before))  # it may be long until it is quiet

    async def _measure(self, before: RemeasureState) -> None:
        began_s = time.monotonic()
        try:
            await self._node.time_again(self._timer, self._drifting.edge_measured_again)
        except Exception:  # of a model that fails for once: what was measured before serves on
            self._log.exception("plans not measured again")
            self.state = before
        else:
            self.state = RemeasureState("", before.count + 1, time.monotonic())
            self._log.warning("plans measured again", took_s=round(time.monotonic() - began_s, 1))
        self._pace.measured(time.monotonic())

    async def _quiet(self) -> None:
        while (left_s := QUIET_S - self._node.quiet_s) > 0:  # noqa: ASYNC110 (the last request does not say that it is)
            await asyncio.sleep(left_s)

    def _tell(self, drifts: tuple[Drift, ...]) -> None:
        """A line for each alarm that is new, and for each that is over."""
        now = {(one.plan_id, one.stage): one for one in drifts}
        for key in now.keys() - self._known.keys():
            self._log.warning("stage drifted from its measured time", **_said(now[key]))
        for key in self._known.keys() - now.keys():
            self._log.warning("drift is over", **_said(self._known[key]))
        self._known = now


def _said(drift: Drift) -> dict[str, object]:
    factor = round(drift.factor, 2)
    return {
        "model": drift.model,
        "plan_id": drift.plan_id,
        "plan": drift.plan_name,
        "stage": drift.stage,
        "factor": factor,
    }
