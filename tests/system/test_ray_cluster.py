"""`isthmus cloud` on a Ray cluster that runs already: placed, scaled, rolled over and taken away there, no more."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.client import AsyncClient
from nodes.edge_host import EdgeHost
from tests.system.launched import HANGS_S, ending
from tests.system.ray_cluster import (
    Cluster,
    Running,
    configured,
    edge_of,
    finished,
    free_port,
    launched,
    ray_head,
    running,
    until,
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Shared by the tests, none of which may take it along."""
    with ray_head() as made:
        yield made
        assert made.head.poll() is None  # it runs on, whatever came and went
        assert made.applications() == "theirs"


@pytest.mark.slow
async def test_a_cloud_is_rolled_over_there_under_load_and_leaves_with_its_launcher(
    cluster: Cluster, tmp_path: Path
) -> None:
    with running(tmp_path, cluster) as cloud:
        async with edge_of(cloud) as edge, AsyncClient(edge.address) as client:
            await until(edge, 1)
            before = edge.node.replicas.states()[0].replica_id
            assert cluster.applications() == f"isthmus-cloud@{cloud.registry},theirs"
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
        assert cluster.applications() == f"isthmus-cloud-2@{cloud.registry},theirs"
    assert cloud.process.returncode == 0
    assert cluster.applications() == "theirs"


async def wake(edge: EdgeHost, client: AsyncClient) -> None:
    """Ask until a replica is there. Each request says that it wants one: one that comes while the last replica goes is
    not heard."""
    async with asyncio.timeout(HANGS_S):
        while not edge.node.replicas.seen:
            assert await finished(client, "latency") == "edge"
            await asyncio.sleep(0.2)


@pytest.mark.slow
async def test_a_cloud_that_is_scaled_there_comes_for_a_request_and_goes_when_there_are_none(
    cluster: Cluster, tmp_path: Path
) -> None:
    rule = {"min_replicas": 0, "max_replicas": 2, "scale_down_after": "3s"}
    with running(tmp_path, cluster, autoscaling=rule) as cloud:
        async with edge_of(cloud) as edge, AsyncClient(edge.address) as client:
            await wake(edge, client)  # whether the first one is still there or has gone already
            await until(edge, 0)
            await wake(edge, client)
            await until(edge, 1)
            assert await finished(client) == "cloud"
            await until(edge, 0)


@pytest.mark.slow
def test_a_cloud_that_is_interrupted_while_it_starts_leaves_nothing_there(cluster: Cluster, tmp_path: Path) -> None:
    file = configured(tmp_path, cluster, cpus=64, name="shop")  # more than there are: its replica waits for a place
    process, over_s = launched(file, cluster), time.monotonic() + HANGS_S
    with ending(process):
        while cluster.applications() != "isthmus-cloud@shop,theirs":
            assert time.monotonic() < over_s, file.with_suffix(".log").read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(HANGS_S) == 0
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
            assert await back == f"isthmus-cloud@{cloud.registry},theirs"
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
                # One that is on its way as the replica of before begins to drain may be finished by the edge.
                assert set(ends) <= {"cloud", "edge"}
                assert ends.count("edge") <= 1
                assert cluster.applications() == f"isthmus-cloud-2@{cloud.registry},theirs"
                await until(edge, 1)
                assert edge.node.replicas.states()[0].replica_id != before
                assert await finished(client) == "cloud"
    assert cluster.applications() == "theirs"


@pytest.mark.slow
async def test_a_second_launcher_of_a_cloud_is_refused_while_the_first_lives(cluster: Cluster, tmp_path: Path) -> None:
    with running(tmp_path / "first", cluster, name="shop") as first:
        second = configured(tmp_path / "second", cluster, name="shop")
        process = launched(second, cluster)
        with ending(process):
            assert await asyncio.to_thread(process.wait, HANGS_S) == 2
        said = second.with_suffix(".log").read_text().strip().splitlines()[-1]
        assert f", process {first.process.pid}, has run this cloud since 20" in said
        assert said.startswith("error: cloud.name: a launcher on ")
        async with edge_of(first) as edge, AsyncClient(edge.address) as client:
            await until(edge, 1)
            assert await finished(client) == "cloud"
        assert cluster.applications() == "isthmus-cloud@shop,theirs"
    assert cluster.applications() == "theirs"


@pytest.mark.slow
async def test_a_second_cloud_on_the_cluster_lives_beside_the_first(cluster: Cluster, tmp_path: Path) -> None:
    with running(tmp_path / "first", cluster) as first:
        async with edge_of(first) as edge, AsyncClient(edge.address) as client:
            await until(edge, 1)
            replica = edge.node.replicas.states()[0].replica_id
            second = asyncio.to_thread(_come_and_gone, tmp_path / "second", cluster, first)
            assert set(await second) == {"isthmus-cloud@shop", f"isthmus-cloud@{first.registry}", "theirs"}
            assert [one.replica_id for one in edge.node.replicas.states()] == [replica]
            assert await finished(client) == "cloud"
        assert cluster.applications() == f"isthmus-cloud@{first.registry},theirs"
    assert cluster.applications() == "theirs"


def _come_and_gone(folder: Path, cluster: Cluster, first: Running) -> list[str]:
    """The applications while another cloud was there, which begins and ends here."""
    with running(folder, cluster, name="shop") as second:
        assert second.registry != first.registry
        return cluster.applications().split(",")
