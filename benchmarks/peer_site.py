"""What `peers` compares, running: Isthmus's edge and cloud, a raw server, and the others behind one emulated link."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.peer_environments import AXONMESH, LITSERVE, TORCHSLICER, PeerPackage
from benchmarks.peer_process import PeerProcess, peer_process
from benchmarks.peer_ways import MODEL, AxonmeshWay, FileWay, IsthmusWay, LitServeWay, OipPeer, TensorWay, Way
from isthmus.addresses import format_address
from isthmus.client import AsyncClient
from isthmus.configuration import (
    BatchingConfiguration,
    CloudConfiguration,
    Configuration,
    EdgeConfiguration,
    LinkConfiguration,
    ModelConfiguration,
)
from isthmus.demo import SLOWDOWN
from isthmus.deployment import Sides, deploy
from isthmus.errors import Unavailable
from isthmus.model_export import export_models
from nodes.compute_pool import ComputePool
from nodes.transport.channel_options import CHANNEL_OPTIONS
from partitioner.artifact import load_artifact
from partitioner.link import Link
from partitioner.spec import ImagePreprocessing
from simulations.link_emulator import LinkShape
from simulations.link_thread import LinkEmulatorThread

__all__ = ["ISTHMUS", "Peers", "Site", "peers", "site"]

ISTHMUS = "Isthmus"
Address = tuple[str, int]


@dataclass(frozen=True)
class Site:
    """Isthmus and the raw server. ways: by what a table calls them. whole: the raw server, asked past the link."""

    link: LinkEmulatorThread
    client: AsyncClient
    ways: Mapping[str, Way]
    whole: Way
    artifact: str
    _preprocessing: ImagePreprocessing
    _pool: ComputePool

    def set_link(self, link: Link) -> None:
        """The link's shape from now on."""
        self.link.set_shape(LinkShape(link.uplink_bps, link.downlink_bps, link.rtt_s))

    async def relayed(self, address: Address) -> Address:
        """Where to dial to reach a server through the link."""
        return await asyncio.to_thread(self.link.relay, "127.0.0.1", 0, *address)

    def tensor_way(self, peer: OipPeer) -> Way:
        """Cloud-only with the tensor, made on the slowed edge."""
        return TensorWay(peer, self._preprocessing, self._pool, SLOWDOWN)


@dataclass(frozen=True)
class Peers:
    """ways: on every link. planned: axonmesh's, by Mbit/s, where its planner finds a cut. facts: for the record."""

    ways: Mapping[str, Way]
    planned: Mapping[float, Way]
    facts: Mapping[str, object]


@contextlib.asynccontextmanager
async def site(first: Link) -> AsyncIterator[Site]:
    """Isthmus alone first, as it measures its plans at its start, then the raw server. first: the link's shape."""
    alone = BatchingConfiguration(max_batch=1)  # one request at a time: nothing to join, nothing to measure for it
    configuration = Configuration(
        models=(ModelConfiguration(name=MODEL, source="isthmus.zoo:efficientnet_lite0"),),
        edge=EdgeConfiguration(
            listen="127.0.0.1:0", runtime="process", emulate_slowdown=SLOWDOWN, batching=alone
        ),
        cloud=CloudConfiguration(registry_listen="127.0.0.1:0", runtime="process", batching=alone),
        link=LinkConfiguration(bandwidth=first.uplink_bps, rtt=first.rtt_s),
    )  # fmt: skip
    export = partial(export_models, configuration.models, Path.cwd(), lambda _: None)
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(deploy(configuration, Sides(True, True), export, lambda _: None))
        client = await stack.enter_async_context(AsyncClient(running.gateway))
        artifact = str(running.artifacts[0].path)
        how = load_artifact(artifact).interface.inputs[0].preprocessing
        assert running.link is not None
        assert how is not None
        pool = stack.enter_context(ComputePool(1))
        raw = await _started(stack, sys.executable, "raw_server", artifact)
        address = _address(raw.said["ready"]["model"])
        whole = FileWay(_oip(stack, address, CHANNEL_OPTIONS))
        made = Site(running.link, client, {}, whole, artifact, how, pool)
        through = _oip(stack, await made.relayed(address), CHANNEL_OPTIONS)
        ways: dict[str, Way] = {ISTHMUS: IsthmusWay(client)}
        ways |= {"raw gRPC server, file": FileWay(through), "raw gRPC server, tensor": made.tensor_way(through)}
        yield replace(made, ways=ways)


@contextlib.asynccontextmanager
async def peers(of: Site, links: Sequence[Link], pythons: Mapping[PeerPackage, str]) -> AsyncIterator[Peers]:
    """Ray Serve, LitServe and axonmesh beside a site, and what torchslicer is.

    pythons: of the virtual environments. Raises Unavailable for a program that does not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        mbps = [f"{link.uplink_bps / 1e6:g}" for link in links]
        ray, lit, cloud, slicer = await asyncio.gather(
            _started(stack, sys.executable, "ray_server", of.artifact),
            _started(stack, pythons[LITSERVE], "litserve_server", of.artifact),
            _started(stack, pythons[AXONMESH], "axonmesh_cloud", *mbps),
            _started(stack, pythons[TORCHSLICER], "torchslicer_facts"),
        )
        edge = await _axonmesh_edge(stack, of, cloud, pythons[AXONMESH])
        # Ray's proxy takes the keepalives of the project's channels for an attack and closes the connection.
        through = _oip(stack, await of.relayed(_address(ray.said["ready"]["model"])), ())
        ways: dict[str, Way] = {
            "Ray Serve's gRPC proxy, file": FileWay(through),
            "Ray Serve's gRPC proxy, tensor": of.tensor_way(through),
            "LitServe, file": LitServeWay(*await of.relayed(_address(lit.said["ready"]["model"]))),
            "axonmesh, its default cut": AxonmeshWay(edge, "default"),
            "axonmesh, JPEG frame": AxonmeshWay(edge, "frame"),
        }
        planned = {
            float(name.partition(" ")[2]): AxonmeshWay(edge, name)
            for name in cloud.said["ready"]
            if name.startswith("planned")
        }
        facts = {
            "versions": f"ray {ray.said['version']}, litserve {lit.said['version']}, axonmesh {cloud.said['version']}",
            "axonmesh's cuts": ", ".join(f"{name} {cut}" for name, cut in cloud.said["cuts"].items()),
            "not compared": f"torchslicer {slicer.said['version']}, which trains: a sliced model has the methods "
            f"{slicer.said['methods']}, and a worker answers a batch with {slicer.said['answered']}",
        }
        yield Peers(ways, planned, facts)


async def _axonmesh_edge(
    stack: contextlib.AsyncExitStack, of: Site, cloud: PeerProcess, python: str
) -> PeerProcess:  # fmt: skip
    servers = {
        name: (*await of.relayed(_address(address)), cloud.said["cuts"][name])
        for name, address in cloud.said["ready"].items()
    }
    return await _started(stack, python, "axonmesh_edge", json.dumps(servers), f"{SLOWDOWN:g}")


async def _started(stack: contextlib.AsyncExitStack, python: str, program: str, *arguments: str) -> PeerProcess:
    """Started and ended in threads: this loop also serves the fleet registry, and a program takes seconds to import."""
    context = peer_process(python, program, *arguments)
    starting = asyncio.ensure_future(asyncio.to_thread(context.__enter__))
    stack.push_async_callback(_end, starting, context)
    return await asyncio.shield(starting)


async def _end(starting: asyncio.Future[PeerProcess], context: contextlib.AbstractContextManager[PeerProcess]) -> None:
    """Also when who waited for the start was cancelled."""
    with contextlib.suppress(Unavailable):
        await starting
        await asyncio.to_thread(context.__exit__, None, None, None)


def _oip(stack: contextlib.AsyncExitStack, address: Address, options: Sequence[tuple[str, int]]) -> OipPeer:
    peer = OipPeer(format_address(*address), options)
    stack.push_async_callback(peer.close)
    return peer


def _address(said: Sequence[object]) -> Address:
    host, port = said
    return str(host), int(str(port))
