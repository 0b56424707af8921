"""The runtimes that a launcher's nodes live in."""

from __future__ import annotations

import contextlib

from isthmus.configuration import CloudConfiguration
from nodes.outward_address import outward_address
from scheduler.process_runtime import ProcessRuntime
from scheduler.runtime import Runtime
from scheduler.serve.ray_runtime import RayRuntime

__all__ = ["Runtimes"]


class Runtimes:
    """One runtime of each kind, made when first needed, stopped with the stack."""

    def __init__(self, stack: contextlib.AsyncExitStack, cloud: CloudConfiguration | None) -> None:
        """cloud: None where no cloud runs: the edge's Ray is its own."""
        self._stack = stack
        self._cloud = cloud
        self._made: dict[str, Runtime] = {}

    def _ray(self) -> RayRuntime:
        if self._cloud is None:
            return RayRuntime()
        cloud = self._cloud
        return RayRuntime(address=cloud.address or "", cpus=cloud.cpus, name=cloud.name or "")

    def reached_from_replicas(self, address: str) -> str:
        """An address of this machine as replicas on a cluster reach it; itself where they run here."""
        runtime = self._made.get("ray")
        if self._cloud is None or self._cloud.address is None or not isinstance(runtime, RayRuntime):
            return address
        return outward_address(address, runtime.head)

    def of(self, kind: str) -> Runtime:
        """The runtime of that kind."""
        if kind not in self._made:
            runtime: Runtime = self._ray() if kind == "ray" else ProcessRuntime()
            self._stack.push_async_callback(runtime.stop)
            self._made[kind] = runtime
        return self._made[kind]
