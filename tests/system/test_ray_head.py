"""The Ray head of the cloud dies under an edge that uses it, and another cloud takes its place."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from isthmus.client import AsyncClient, Result
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.steering import EVERYTHING, PolicySetting
from tests.system.launched import HANGS_S
from tests.system.ray_cluster import Cluster, Running, edge_at, end, free_port, ray_head, running, until

# A launcher waits 10 s for a head that is gone. Ray would end it 60 s after the head.
BOUND_S = 30.0
# The cloud wherever it can be asked, the edge itself where it cannot.
CLOUD_FIRST = ConfiguredPolicies((ScopedPolicy(EVERYTHING, PolicySetting("random", {"weights": {"cloud-only": 1.0}})),))


@dataclass
class Asked:
    """answers: of requests that are asked one after the other, until one fails. over: ends them after the next."""

    task: asyncio.Task[None] | None = None
    answers: list[Result] = field(default_factory=list)
    over: bool = False

    async def more(self, ends: int, finished_by: str) -> None:
        """Return when so many more were answered there, whatever others were meanwhile."""
        over_s, before = time.monotonic() + HANGS_S, len(self.answers)
        while self._finishers()[before:].count(finished_by) < ends:
            assert self.task is not None
            assert not self.task.done(), self.task.exception()
            assert time.monotonic() < over_s, self._finishers()[-5:]
            await asyncio.sleep(0.02)

    async def ask(self, client: AsyncClient) -> None:
        (name,) = await client.input_names("small")
        while not self.over:
            self.answers.append(await client.infer("small", {name: np.ones((1, 16), np.float32)}, timeout_s=10))
            await asyncio.sleep(0.01)

    def _finishers(self) -> list[str]:
        return [str(one.parameters["isthmus_finished_by"]) for one in self.answers]


@contextlib.asynccontextmanager
async def asking(address: str) -> AsyncIterator[Asked]:
    """A client; at the end its last request is answered, too."""
    made = Asked()
    async with AsyncClient(address) as client:
        made.task = asyncio.create_task(made.ask(client))
        try:
            yield made
        finally:
            made.over = True
            await asyncio.wait([made.task])
        await made.task


@contextlib.asynccontextmanager
async def clouded(cluster: Cluster, folder: Path, **cloud: object) -> AsyncIterator[Running]:
    """`isthmus cloud`, started and ended while this process does other things."""
    with contextlib.ExitStack() as stack:
        made = await asyncio.to_thread(stack.enter_context, running(folder, cluster, **cloud))
        try:
            yield made
        finally:
            await asyncio.to_thread(stack.close)


@pytest.mark.slow
async def test_no_request_notices_that_rays_head_dies_and_the_next_cloud_is_used(tmp_path: Path) -> None:
    registry, first = f"127.0.0.1:{free_port()}", tmp_path / "first"
    # The next one needs no Ray: what an edge sees of it is the same, and a second head takes half a minute to start.
    bare = {"runtime": "process", "address": None, "cpus": None}
    with ray_head(shared=False) as cluster:
        async with clouded(cluster, first, registry_listen=registry) as cloud, edge_at(registry, first) as edge:
            edge.configure(CLOUD_FIRST)
            await until(edge, 1)
            async with asking(edge.address) as asked:
                before = edge.node.replicas.states()[0].replica_id
                await asked.more(5, "cloud")

                cluster.head.suspend()  # `ray start --block` would take the rest down at once
                machine = cluster.processes()
                cluster.named("gcs_server").kill()
                await asked.more(100, "cloud")  # the replica lives on
                assert edge.node.replicas.states()[0].replica_id == before

                cloud.process.send_signal(signal.SIGINT)
                assert await asyncio.to_thread(cloud.process.wait, BOUND_S) == 1
                *_, said = cloud.file.with_suffix(".log").read_text().splitlines()
                left = f"left on the cluster: isthmus-cloud@{registry}"
                assert said == f"error: Ray: its head at {cluster.address} does not answer; {left}"
                await asked.more(20, "cloud")  # nor is the replica drained

                end(machine)  # it is gone, as the registry is
                await asked.more(20, "edge")
                async with clouded(cluster, tmp_path / "next", registry_listen=registry, **bare):
                    await until(edge, 1)
                    assert edge.node.replicas.states()[0].replica_id != before
                    await asked.more(5, "cloud")
            assert len({one.request_id for one in asked.answers}) == len(asked.answers)
            assert sum(edge.node.decisions.values()) == len(asked.answers)
            outputs = np.stack([value for one in asked.answers for value in one.outputs.values()]).astype(np.float64)
            np.testing.assert_allclose(outputs, outputs[:1].repeat(len(outputs), axis=0), rtol=1e-5, atol=1e-6)
