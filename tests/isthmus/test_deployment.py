"""What `isthmus up` runs, started and left."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from isthmus.configuration import CloudConfiguration, Configuration, EdgeConfiguration, ModelConfiguration
from isthmus.deployment import Sides, _Starting, deploy
from isthmus.errors import InvalidConfiguration, InvalidModel, IsthmusError, Unavailable
from isthmus.model_export import check_on_every_node
from isthmus.runtimes import Runtimes
from nodes.configured_policies import LATENCY_FOR_ALL
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from scheduler.autoscaling import AutoscalingRule
from scheduler.fleet_registry import FleetRegistry
from scheduler.process_runtime import ProcessRuntime


def configuration() -> Configuration:
    return Configuration(
        models=(ModelConfiguration(name="none", source="none.pt2"),),
        edge=EdgeConfiguration(listen="127.0.0.1:0", runtime="process"),
        cloud=CloudConfiguration(registry_listen="127.0.0.1:0", runtime="process"),
    )


async def deployed(said: list[str]) -> None:
    def export() -> tuple[ModelArtifact, ...]:
        raise InvalidModel("none.pt2", "is no file")

    async with deploy(configuration(), Sides(cloud=True, edge=True), export, said.append):
        said.append("runs")


def test_a_model_that_cannot_be_exported_ends_the_start() -> None:
    said: list[str] = []
    with pytest.raises(InvalidModel, match="is no file"):
        asyncio.run(deployed(said))
    assert [line.split(" at ")[0] for line in said] == ["fleet registry"]


def test_a_cloud_by_itself_starts_its_replicas(tmp_path: Path) -> None:
    async def run() -> None:
        def export() -> tuple[ModelArtifact, ...]:
            return (ModelArtifact("none", str(tmp_path / "none")),)

        async with deploy(configuration(), Sides(cloud=True, edge=False), export, list[str]().append):
            raise AssertionError("it runs")

    with pytest.raises(IsthmusError, match=r"spec\.json: cannot be read"):
        asyncio.run(run())


class DyingEdge(ProcessRuntime):
    """Its edge dies as soon as it serves, while a start waits for `still`: the cloud, or the edge's plans."""

    def __init__(self, still: str) -> None:
        super().__init__()
        self.still = still

    async def start_cloud(self, settings: CloudSettings, rule: AutoscalingRule, replicas: int) -> None:
        if self.still == "cloud":
            await asyncio.Event().wait()

    async def start_edge(self, settings: EdgeSettings) -> str:
        return "127.0.0.1:1"

    async def wait_until_planned(self, timeout_s: float) -> bool:
        await asyncio.Event().wait()
        return True

    async def watch_edge(self) -> None:
        raise Unavailable("edge node: died with -9")


@pytest.mark.parametrize("still", ["cloud", "plans"])
async def test_an_edge_that_dies_ends_a_start_that_waits(still: str) -> None:
    runtimes = Runtimes(contextlib.AsyncExitStack(), None)
    runtimes._made["process"] = DyingEdge(still)
    starting = _Starting(configuration(), (), "", runtimes, list[str]().append, LATENCY_FOR_ALL, "", FleetRegistry())
    with pytest.raises(Unavailable, match="edge node: died with -9"):
        async with asyncio.timeout(10):
            await starting.run(Sides(cloud=True, edge=True), 3600.0)


def test_an_artifact_of_another_name_is_none_that_every_node_has(tmp_path: Path) -> None:
    """It would be made anew under the name that it is served under, on this machine alone."""
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "net"), tmp_path / "net")
    check_on_every_node(ModelConfiguration(name="net", source=str(tmp_path / "net")))
    words = r"models\.detector\.versions: is the artifact of 'net' .*; serve it as 'net', or make it"
    save_artifact(model_from_module(nn.Linear(4, 2).eval(), (torch.zeros(2, 4),), "detector"), tmp_path / "detector")
    other = ModelConfiguration(name="detector", source=str(tmp_path / "detector"), versions=(str(tmp_path / "net"),))
    with pytest.raises(InvalidConfiguration, match=words):
        check_on_every_node(other)


@pytest.mark.parametrize(
    ("edge", "source", "words"),
    [
        ("ray", "/none", r"edge\.runtime: cannot be a Ray of its own beside cloud\.address"),
        ("process", "none.pt2", r"models\.none\.source: is not an artifact's folder"),
    ],
)
def test_what_does_not_go_with_a_cluster_of_others_is_refused_before_anything_starts(
    edge: Literal["ray", "process"], source: str, words: str
) -> None:
    made = Configuration(
        models=(ModelConfiguration(name="none", source=source),),
        edge=EdgeConfiguration(runtime=edge),
        cloud=CloudConfiguration(address="auto"),
    )

    async def run() -> None:
        async with deploy(made, Sides(cloud=True, edge=True), tuple, list[str]().append):
            raise AssertionError("it runs")

    with pytest.raises(InvalidConfiguration, match=words):
        asyncio.run(run())
