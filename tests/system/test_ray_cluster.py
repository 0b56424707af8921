"""`isthmus cloud` on a Ray cluster that runs already: placed, scaled, rolled over and taken away there, no more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import yaml
from torch import nn

from isthmus.client import AsyncClient
from nodes.edge_host import EdgeHost
from nodes.settings import EdgeSettings, ModelArtifact
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.plan_chooser import PlanChooser
from tests.system.launched import ended_at_last, ending

WAIT_S = 120.0
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
    head: psutil.Process

    def controller(self) -> psutil.Process:
        """Serve's, which decides on all replicas."""
        names = {one: " ".join(one.cmdline()) for one in self.head.children(recursive=True)}
        (found,) = (one for one, name in names.items() if name.startswith("ray::ServeController"))
        return found

    def applications(self, what: str = "list") -> str:
        command = [sys.executable, "-c", OTHERS, self.address, what]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=WAIT_S, check=False, env=self.environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head on loopback with an application of somebody else. Its sockets need a short path."""
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
    try:
        made, over_s = Cluster(f"127.0.0.1:{port}", environment, process), time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < over_s
                time.sleep(0.1)
        assert made.applications("start") == "theirs"
        yield made
        assert process.poll() is None  # it runs on, whatever came and went
        assert made.applications() == "theirs"
    finally:
        started = [process, *process.children(recursive=True)]
        for one in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(started, timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


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
        log, over_s = self.file.with_suffix(".log"), time.monotonic() + WAIT_S
        while said not in log.read_text():
            assert time.monotonic() < over_s, log.read_text()
            time.sleep(0.1)


def launched(file: Path, cluster: Cluster) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "isthmus", "cloud", str(file)]
    with file.with_suffix(".log").open("w") as log:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=cluster.environment)


def configured(folder: Path, cluster: Cluster, **cloud: object) -> Path:
    layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    save_artifact(model_from_module(layers, (torch.zeros(2, 16),), "small"), folder / "small")
    file = folder / "isthmus.yaml"
    keys = {"registry_listen": "127.0.0.1:0", "address": cluster.address, "cpus": 0.5, **cloud}
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
    models = (ModelArtifact("small", str(cloud.file.parent / "small")),)
    edge = await EdgeHost.start(EdgeSettings(models, "127.0.0.1:0", cloud.registry), PlanChooser(explore_share=0.0))
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
    over_s, there = time.monotonic() + WAIT_S, edge.node.replicas
    while (there.usable, there.seen) != (replicas, replicas):
        assert time.monotonic() < over_s, (there.usable, there.seen)
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_cloud_is_rolled_over_there_under_load_and_leaves_with_its_launcher(
    cluster: Cluster, tmp_path: Path
) -> None:
    with running(tmp_path, cluster) as cloud:
        async with edge_of(cloud) as edge, AsyncClient(edge.address) as client:
            await until(edge, 1)
            before = edge.node.replicas.states()[0].replica_id
            assert cluster.applications() == "isthmus-cloud,theirs"
            rolling = asyncio.create_task(asyncio.to_thread(cloud.saved, "rolled out: cloud.version", version="2"))
            ends = [await finished(client) for _ in range(20)]
            while not rolling.done():
                ends.append(await finished(client))
                await asyncio.sleep(0.02)
            await rolling
            await until(edge, 1)
            assert edge.node.replicas.states()[0].replica_id != before
            assert len(ends) >= 20
            assert await finished(client) == "cloud"
        assert cluster.applications() == "isthmus-cloud-2,theirs"
    assert cloud.process.returncode == 0
    assert cluster.applications() == "theirs"


@pytest.mark.slow
async def test_a_cloud_that_is_scaled_there_comes_for_a_request_and_goes_when_there_are_none(
    cluster: Cluster, tmp_path: Path
) -> None:
    rule = {"min_replicas": 0, "max_replicas": 2, "scale_down_after": "3s"}
    with running(tmp_path, cluster, autoscaling=rule) as cloud:
        async with edge_of(cloud) as edge, AsyncClient(edge.address) as client:
            assert await finished(client, "edge-only") == "edge"
            await until(edge, 1)  # woken
            assert await finished(client) == "cloud"
            await until(edge, 0)


@pytest.mark.slow
def test_a_cloud_that_is_interrupted_while_it_starts_leaves_nothing_there(cluster: Cluster, tmp_path: Path) -> None:
    file = configured(tmp_path, cluster, cpus=64)  # more than there are: its replica waits for a place
    process, over_s = launched(file, cluster), time.monotonic() + WAIT_S
    with ending(process):
        while cluster.applications() != "isthmus-cloud,theirs":
            assert time.monotonic() < over_s, file.with_suffix(".log").read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
    assert cluster.applications() == "theirs"


@pytest.mark.slow
async def test_no_request_notices_that_serves_controller_dies_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    with running(tmp_path, cluster) as cloud:
        async with edge_of(cloud) as edge, AsyncClient(edge.address) as client:
            await until(edge, 1)
            replica, controller, ends = edge.node.replicas.states()[0].replica_id, cluster.controller(), list[str]()
            controller.kill()
            back = asyncio.create_task(asyncio.to_thread(cluster.applications))  # which a controller answers
            while not back.done() or len(ends) < 20:
                ends.append(await finished(client))
                await asyncio.sleep(0.02)
            assert await back == "isthmus-cloud,theirs"
            assert cluster.controller().pid != controller.pid
            assert set(ends) == {"cloud"}
            assert edge.node.replicas.states()[0].replica_id == replica
    assert cloud.process.returncode == 0
    assert cluster.applications() == "theirs"


@pytest.mark.slow
async def test_the_next_launcher_takes_over_from_one_that_died_and_no_request_notices(
    cluster: Cluster, tmp_path: Path
) -> None:
    with running(tmp_path, cluster, registry_listen=f"127.0.0.1:{free_port()}") as cloud:
        async with edge_of(cloud) as edge, AsyncClient(edge.address) as client:
            await until(edge, 1)
            before = edge.node.replicas.states()[0].replica_id
            cloud.process.kill()
            cloud.process.wait()
            with ending(launched(cloud.file, cluster)) as first_line:
                ready = asyncio.create_task(asyncio.to_thread(first_line))
                ends = []
                while not ready.done():
                    ends.append(await finished(client))
                    await asyncio.sleep(0.02)
                assert (await ready) == f"ready: registry {cloud.registry}\n"
                assert set(ends) == {"cloud"}
                assert cluster.applications() == "isthmus-cloud-2,theirs"
                await until(edge, 1)
                assert edge.node.replicas.states()[0].replica_id != before
                assert await finished(client) == "cloud"
    assert cluster.applications() == "theirs"
