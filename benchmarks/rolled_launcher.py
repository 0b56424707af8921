"""`isthmus up` on a copy of this project's code, whose configuration and code a benchmark changes while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import grpc

import isthmus
from benchmarks.judged_requests import MODEL
from benchmarks.ray_site import paced_profile
from isthmus.v1 import fleet_pb2, fleet_pb2_grpc
from nodes.transport.operator_client import OperatorClient
from partitioner.artifact import save_artifact
from partitioner.model import Model

__all__ = ["SOURCES", "Launcher", "Resumed", "broken", "launched", "upgraded"]

PATIENCE_S, DRAIN_S = 120.0, 60.0
PACKAGES = ("isthmus", "nodes", "partitioner", "scheduler", "simulations")
SOURCES = ("one", "two")
"""Of the two models that are rolled over."""

# What the upgraded code does differently, where one can see it: a word in its replicas' ids.
ID_LINE = "        replica_id = settings.id_prefix + uuid.uuid4().hex[:12]\n"
START_LINE = "        keep_freed_memory()\n"
BROKEN_LINE = '        from isthmus.errors import Unavailable; raise Unavailable("this version does not start")\n'


def upgraded(host: str, word: str) -> str:
    """The code of `nodes/cloud_host.py` with that word in the ids of its replicas."""
    return _replaced(host, ID_LINE, ID_LINE.replace("uuid.", f'"{word}" + uuid.'))


def broken(host: str) -> str:
    """The same with replicas that cannot start."""
    return _replaced(host, START_LINE, BROKEN_LINE)


def _replaced(text: str, line: str, other: str) -> str:
    if text.count(line) != 1:
        raise ValueError(f"is not there once: {line.strip()}")
    return text.replace(line, other)


class Resumed(NamedTuple):
    """What the edge has counted: sendings again of requests' tensors, and answers that came too late for that."""

    resent: int
    late_answers: int

    def since(self, before: Resumed) -> Resumed:
        """The difference."""
        return Resumed(self.resent - before.resent, self.late_answers - before.late_answers)


@dataclass
class Launcher:
    """What runs in a folder. gateway: of its edge. cloud: the keys of the configuration's section; source: of the
    model."""

    folder: Path
    cloud: dict[str, object]
    process: subprocess.Popen[str]
    gateway: str = ""
    source: str = SOURCES[0]

    @property
    def log(self) -> str:
        """What it has said until now."""
        return (self.folder / "log").read_text()

    @property
    def host(self) -> Path:
        """The code that a replica starts by."""
        return self.folder / "code" / "nodes" / "cloud_host.py"

    def save(self, source: str = "", version: str = "") -> None:
        """Save the configuration, with another model or another version of the cloud where they are given."""
        self.source = source or self.source
        self.cloud["version"] = version or self.cloud["version"]
        write_configuration(self.folder, self.source, self.cloud)

    async def says(self, words: str, since: int) -> str:
        """The line with these words, once it is in the log after so many characters."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < PATIENCE_S and self.process.poll() is None:
            for line in self.log[since:].splitlines():
                if words in line:
                    return line
            await asyncio.sleep(0.1)
        raise TimeoutError(f"launcher did not say {words!r}: {self.log[-2000:]}")

    async def replica_ids(self) -> list[str]:
        """Who is in the registry."""
        registry = self.log.split("fleet registry at ")[1].split()[0]
        async with grpc.aio.insecure_channel(registry) as channel:
            watched = fleet_pb2_grpc.FleetServiceStub(channel).Watch(fleet_pb2.WatchRequest(edge_id="look"))
            view = await anext(aiter(watched))
        return sorted(replica.replica_id for replica in view.replicas)

    async def resumed(self) -> Resumed:
        """Since the edge has started."""
        operator = OperatorClient(self.gateway)
        try:
            totals = json.loads(await operator.sight())["totals"]
        finally:
            await operator.close()
        return Resumed(totals["resent"], totals["late_answers"])


def write_configuration(folder: Path, source: str, cloud: Mapping[str, object]) -> None:
    """At once, as an editor saves a file."""
    edge = {"listen": "127.0.0.1:0", "runtime": "process"}
    text = {"models": [{"name": MODEL, "source": source}], "edge": edge, "cloud": cloud}
    (folder / "isthmus.new").write_text(json.dumps(text))  # JSON is YAML
    (folder / "isthmus.new").replace(folder / "isthmus.yaml")


@contextlib.asynccontextmanager
async def launched(models: Sequence[Model], replicas: int, paced_s: float | None) -> AsyncIterator[Launcher]:
    """models: those of SOURCES. paced_s: what a request takes a replica; None for what it really takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = Path(isthmus.__file__).parent.parent
        for package in PACKAGES:
            shutil.copytree(root / package, folder / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
        for model, place in zip(models, SOURCES, strict=True):
            save_artifact(model, folder / place)
        cloud: dict[str, object] = {
            "replicas": replicas, "registry_listen": "127.0.0.1:0", "overlap": "30s", "version": "first"
        }  # fmt: skip
        if paced_s is not None:
            (folder / "paced.json").write_text(paced_profile(models, paced_s).to_json())
            cloud |= {"engine": "paced", "paced_by": str(folder / "paced.json")}
        write_configuration(folder, SOURCES[0], cloud)
        launcher = Launcher(folder, cloud, _started(folder))
        try:
            assert launcher.process.stdout is not None
            line = await asyncio.wait_for(asyncio.to_thread(launcher.process.stdout.readline), PATIENCE_S)
            if not line.startswith("ready: "):
                raise RuntimeError(launcher.log)
            launcher.gateway = line.strip().removeprefix("ready: grpc://")
            yield launcher
        finally:
            launcher.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(launcher.process.wait, DRAIN_S)
            launcher.process.kill()
            await asyncio.to_thread(launcher.process.wait)


def _started(folder: Path) -> subprocess.Popen[str]:
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "isthmus", "up", "isthmus.yaml"], cwd=folder, stdout=subprocess.PIPE, stderr=log,
            text=True, env=os.environ | {"PYTHONPATH": str(folder / "code")},
        )  # fmt: skip
