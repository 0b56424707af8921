"""A Ray cluster that a test starts, `isthmus cloud` on it, and an edge that uses it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
import yaml
from torch import nn

from isthmus.client import AsyncClient
from nodes.edge_host import EdgeHost
from nodes.settings import EdgeSettings, ModelArtifact
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.plan_chooser import PlanChooser
from tests.system.launched import HANGS_S, ended_at_last

__all__ = [
    "Cluster",
    "Running",
    "configured",
    "edge_at",
    "edge_of",
    "end",
    "finished",
    "free_port",
    "launched",
    "ray_head",
    "running",
    "until",
]

# An application of somebody else, who is not to notice anything.
OTHERS = """
import ray, sys
from ray import serve
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")

@serve.deployment(ray_actor_options={"num_cpus": 0.01})
class Theirs:
    def __call__(self):
        return "theirs"

if sys.argv[2] == "start":
    serve.start(proxy_location="Disabled")
    serve.run(Theirs.bind(), name="theirs", route_prefix=None)
print(",".join(sorted(serve.status().applications)))
"""


@dataclass(frozen=True)
class Cluster:
    """environment: of all that talks to it. head: its first process."""

    address: str
    environment: Mapping[str, str]
    head: psutil.Popen

    def processes(self) -> list[psutil.Process]:
        """All that it runs now, the first one first; none once that is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.head, *self.head.children(recursive=True)]
        return []

    def named(self, name: str) -> psutil.Process:
        """The one process of it whose program is called so."""
        (found,) = (one for one in self.processes() if one.name() == name)
        return found

    def controller(self) -> psutil.Process:
        """Serve's, which decides on all replicas."""
        names = {one: " ".join(one.cmdline()) for one in self.head.children(recursive=True)}
        (found,) = (one for one, name in names.items() if name.startswith("ray::ServeController"))
        return found

    def applications(self, what: str = "list") -> str:
        command = [sys.executable, "-c", OTHERS, self.address, what]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=HANGS_S, check=False, env=self.environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def ray_head(*, shared: bool = True) -> Iterator[Cluster]:
    """A head on loopback. Its sockets need a short path. shared: with an application of somebody else."""
    folder, port = tempfile.mkdtemp(prefix="ray-"), free_port()
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}", "--num-cpus=4",
        "--node-ip-address=127.0.0.1", f"--temp-dir={folder}", f"--object-store-memory={100 << 20}",
        "--include-dashboard=false", "--disable-usage-stats",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "RAY_worker_niceness": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # that is, loopback stays loopback
    }
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    made, over_s = Cluster(f"127.0.0.1:{port}", environment, process), time.monotonic() + HANGS_S
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < over_s
                time.sleep(0.1)
        if shared:
            assert made.applications("start") == "theirs"
        yield made
    finally:
        end(made.processes())
        shutil.rmtree(folder, ignore_errors=True)


def end(processes: Sequence[psutil.Process]) -> None:
    """Kill them, those that are gone already aside, and return when they are."""
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(processes, timeout=30)


@dataclass(frozen=True)
class Running:
    """`isthmus cloud`. registry: as it printed."""

    process: subprocess.Popen[str]
    registry: str
    file: Path

    def saved(self, said: str, **cloud: object) -> None:
        """Change keys of the cloud, and return when that was said."""
        data = yaml.safe_load(self.file.read_text())
        self.file.write_text(yaml.safe_dump({**data, "cloud": data["cloud"] | cloud}))
        log, over_s = self.file.with_suffix(".log"), time.monotonic() + HANGS_S
        while said not in log.read_text():
            assert time.monotonic() < over_s, log.read_text()
            time.sleep(0.1)


def launched(file: Path, cluster: Cluster) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "isthmus", "cloud", str(file)]
    with file.with_suffix(".log").open("w") as log:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=cluster.environment)


def configured(folder: Path, cluster: Cluster, **cloud: object) -> Path:
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)  # the same model in each folder
    layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    save_artifact(model_from_module(layers, (torch.zeros(2, 16),), "small"), folder / "small")
    file = folder / "isthmus.yaml"
    patient = {"start_timeout": f"{HANGS_S:g}s"}
    keys = {"registry_listen": "127.0.0.1:0", "address": cluster.address, "cpus": 0.5, **patient, **cloud}
    file.write_text(yaml.safe_dump({"models": [{"name": "small", "source": str(folder / "small")}], "cloud": keys}))
    return file


@contextlib.contextmanager
def running(folder: Path, cluster: Cluster, **cloud: object) -> Iterator[Running]:
    file = configured(folder, cluster, **cloud)
    process = launched(file, cluster)
    with ended_at_last(process) as line:
        assert line.startswith("ready: registry "), file.with_suffix(".log").read_text()
        yield Running(process, line.split()[-1], file)


@contextlib.asynccontextmanager
async def edge_of(cloud: Running) -> AsyncIterator[EdgeHost]:
    async with edge_at(cloud.registry, cloud.file.parent) as edge:
        yield edge


@contextlib.asynccontextmanager
async def edge_at(registry: str, folder: Path) -> AsyncIterator[EdgeHost]:
    """Of the model that `configured` left in the folder; the registry need not be there yet."""
    models = (ModelArtifact("small", str(folder / "small")),)
    edge = await EdgeHost.start(EdgeSettings(models, "127.0.0.1:0", registry), PlanChooser(explore_share=0.0))
    try:
        yield edge
    finally:
        await edge.drain()


async def finished(client: AsyncClient, policy: str = "cloud-only") -> str:
    (name,) = await client.input_names("small")
    answer = await client.infer("small", {name: np.ones((1, 16), np.float32)}, policy=policy, timeout_s=30)
    return str(answer.parameters["isthmus_finished_by"])


async def until(edge: EdgeHost, replicas: int) -> None:
    """Return when the edge uses so many."""
    over_s, there = time.monotonic() + HANGS_S, edge.node.replicas
    while (there.usable, there.seen) != (replicas, replicas):
        assert time.monotonic() < over_s, (there.usable, there.seen)
        await asyncio.sleep(0.05)
