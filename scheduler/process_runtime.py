"""Nodes as bare processes, supervised: started, watched, restarted when they die, drained. No Ray."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from isthmus.errors import IsthmusError, Unavailable
from isthmus.telemetry import get_logger
from nodes.background import run_together
from nodes.configured_policies import ConfiguredPolicies
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from scheduler.autoscaling import AutoscalingRule
from scheduler.node_orders import error_said, is_answer, models_order, policies_order, raise_refusal

__all__ = ["ProcessRuntime"]

RESTART_PAUSE_S = 0.5
ANSWER_TIMEOUT_S = 30.0
SWITCH_TIMEOUT_S = 3600.0  # an engine that compiles takes minutes for a new model


class ProcessRuntime:
    """Runs one side or both. A cloud replica that dies is started again; of an edge that dies `watch_edge` tells."""

    def __init__(self) -> None:
        self._edges: list[_Node] = []
        self._clouds: list[list[_Node]] = []  # by version, the last one last

    async def start(self) -> None:
        """See Runtime: a process needs nothing to run in."""

    async def start_cloud(self, settings: CloudSettings, rule: AutoscalingRule, replicas: int) -> None:
        """See Runtime. Without Ray there are as many as at the start."""
        nodes = [_Node("cloud", settings) for _ in range(replicas)]
        self._clouds.append(nodes)
        try:
            for node in nodes:
                await node.start()
                node.supervise()
        except BaseException:  # none of them stays, whatever it was that the last one lacked
            await asyncio.shield(self.drop_cloud())
            raise

    async def takes_over(self, settings: CloudSettings) -> bool:
        """See Runtime. Replicas of a launcher die with it here."""
        return False

    async def retire_clouds(self) -> None:
        """See Runtime."""
        *before, last = self._clouds
        self._clouds = [last]
        await _stop(node for nodes in before for node in nodes)

    async def drop_cloud(self) -> None:
        """See Runtime."""
        await _stop(self._clouds.pop())

    def wake(self) -> None:
        """See Runtime: there are always some."""

    async def start_edge(self, settings: EdgeSettings) -> str:
        """Start the edge and return the address of its gateway. Raises what it raises."""
        node = _Node("edge", settings)
        self._edges.append(node)
        return await node.start()

    async def wait_until_planned(self, timeout_s: float) -> bool:
        """Wait for the edge to offer plans that use the cloud. False when it takes longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(node.planned.wait() for node in self._edges))
                return True
        return False

    async def watch_edge(self) -> None:
        """See Runtime."""
        await run_together(asyncio.Event().wait(), *(node.watch() for node in self._edges))

    async def configure(self, policies: ConfiguredPolicies) -> None:
        """See Runtime."""
        for node in self._edges:
            raise_refusal(await node.answer_to(policies_order(policies)))

    async def switch_models(self, models: Sequence[ModelArtifact]) -> None:
        """See Runtime."""
        for node in self._edges:
            raise_refusal(await node.answer_to(models_order(models), SWITCH_TIMEOUT_S))

    async def stop(self) -> None:
        """Drain the edge first, so that it can still use the cloud, then the replicas."""
        edges, clouds = self._edges, self._clouds
        self._edges, self._clouds = [], []
        await _stop(edges)
        await _stop(node for nodes in clouds for node in nodes)


async def _stop(nodes: Iterable[_Node]) -> None:
    await asyncio.gather(*(node.stop() for node in nodes))


class _Node:
    def __init__(self, side: str, settings: CloudSettings | EdgeSettings) -> None:
        self.side = side
        self._settings = settings.to_json()
        self._drain_s = settings.drain_s
        self._start_timeout_s, self._start_key = settings.start_limit_s, settings.start_limit_key
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[str] | None = None
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.planned = asyncio.Event()
        self._log = get_logger("launcher")

    async def start(self) -> str:
        """Start the process and return the address it serves."""
        self._ready = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scheduler.process_node", self.side,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            # A Ctrl-C at the terminal is the launcher's to handle: it drains the nodes in order.
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(self._settings.encode() + b"\n")
        self._reader = asyncio.create_task(self._read(self._process, self._ready))
        try:
            return await asyncio.wait_for(asyncio.shield(self._ready), self._start_timeout_s)
        except TimeoutError:
            late = f"{self.side} node: not ready within {self._start_timeout_s:g} s"
            raise Unavailable(f"{late}; where its models take longer, raise {self._start_key}") from None

    async def answer_to(self, order: str, timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """What the node says to an order about policies or models; one order at a time. Raises Unavailable."""
        gone = Unavailable(f"{self.side} node: does not answer")
        if self._process is None or self._process.returncode is not None or self._process.stdin is None:
            raise gone
        while not self._answers.empty():
            self._answers.get_nowait()  # of an order that nobody waits for any more
        self._process.stdin.write(order.encode() + b"\n")
        try:
            return await asyncio.wait_for(self._answers.get(), timeout_s)
        except TimeoutError:
            raise gone from None

    async def watch(self) -> None:
        """Raises Unavailable when the process has ended."""
        if self._process is not None:
            raise Unavailable(f"{self.side} node: died with {await self._process.wait()}")

    def supervise(self) -> None:
        """Start the process again whenever it dies."""
        self._supervisor = asyncio.create_task(self._restart_when_dead())

    async def stop(self) -> None:
        """Drain and end it; kill it when it takes longer than its drain time."""
        if self._supervisor is not None:
            self._supervisor.cancel()
        if self._process is None:
            return
        if self._process.returncode is None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 2 * self._drain_s + 5)
            except TimeoutError:
                self._log.error("node did not drain in time", side=self.side, pid=self._process.pid)
                await self._kill()
        if self._reader is not None:
            await self._reader

    async def _restart_when_dead(self) -> None:
        while True:
            if self._process is not None:
                code = await self._process.wait()
                self._log.warning("node died; starting it again", side=self.side, exit_code=code)
            await asyncio.sleep(RESTART_PAUSE_S)
            try:
                await self.start()
            except (IsthmusError, OSError) as error:
                self._log.error("node could not be started", side=self.side, reason=str(error))
                await self._kill()  # one that hangs would never die, and never be started again

    async def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _read(self, process: asyncio.subprocess.Process, ready: asyncio.Future[str]) -> None:
        """Follow what the node says, until it ends."""
        assert process.stdout is not None
        async for line in process.stdout:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):  # a policy's module may print what it likes
                    self._hear(said, ready)
        if not ready.done():
            ready.set_exception(Unavailable(f"{self.side} node: ended before it was ready"))
            ready.exception()  # mark as seen: who waited may have given up

    def _hear(self, said: dict[str, Any], ready: asyncio.Future[str]) -> None:
        if "ready" in said and not ready.done():
            ready.set_result(said["ready"])
        if "error" in said and not ready.done():
            ready.set_exception(error_said(said["error"], said.get("kind")))
        if said.get("planned"):
            self.planned.set()
        if is_answer(said):
            self._answers.put_nowait(said)
