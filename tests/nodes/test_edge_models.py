"""The models of an edge, each with an engine of its own: what an engine made of one goes with it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from nodes.cloud_connection import CloudConnection
from nodes.compute_pool import ComputePool
from nodes.edge_models import EdgeModels
from nodes.edge_node import EdgeNode
from nodes.engines.base import Runnable, Runner
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint
from nodes.gateway import InferRequest
from nodes.inputs import ModelInputs
from nodes.model_loading import measured_profile
from nodes.model_shelf import ModelShelf
from nodes.prefix_queue import PrefixQueue
from nodes.settings import EdgeSettings, ModelArtifact
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model
from scheduler.plan_chooser import PlanChooser
from tests.nodes.sites import eventually


class Hoarder(EagerEngine):
    """Keeps what it was asked to run, as an engine does that keeps code or copies of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.hoard: list[Runnable] = []

    def load(self, segment: Runnable) -> Runner:
        self.hoard.append(segment)
        return super().load(segment)


@dataclass
class Edge:
    node: EdgeNode
    models: EdgeModels
    folder: Path

    def model(self) -> weakref.ref[Model]:
        return weakref.ref(self.node.runtime("small").model)

    async def answer(self) -> list[float]:
        (tensor,) = self.node.describe_model("small").inputs
        answer = await self.node.infer(InferRequest("small", ModelInputs({tensor.name: torch.zeros(1, 4)}, 1)))
        values: list[float] = answer.outputs[0][1][0].tolist()
        return values


def artifact(folder: Path, bias: float) -> ModelArtifact:
    module = nn.Sequential(nn.Linear(4, 2), nn.ReLU()).eval()
    nn.init.constant_(module[0].bias, bias)  # type: ignore[arg-type]
    save_artifact(model_from_module(module, (torch.zeros(2, 4),), "small"), folder / str(bias))
    return ModelArtifact("small", str(folder / str(bias)))


async def gone(what: weakref.ref[Model]) -> None:
    """Once the thread that worked on it last has let go of its job."""
    await eventually(lambda: gc.collect() >= 0 and what() is None)


async def nobody_dials(endpoint: Endpoint) -> CloudConnection:
    raise AssertionError(endpoint)


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """Without a cloud, serving a model whose outputs for zeros are 1."""
    with ComputePool(1) as pool:
        models = EdgeModels(EdgeSettings((artifact(tmp_path, 1.0),), "127.0.0.1:0", ""), Hoarder, pool)
        loaded = await models.load("small")
        profile = await measured_profile({"small": loaded.model}, EagerEngine(), pool)
        chooser = PlanChooser()
        queue = PrefixQueue(pool, chooser.edge_queue(), at_once_s=0.0)
        node = EdgeNode(ModelShelf({"small": loaded}, models.load), profile, chooser, queue, nobody_dials)
        del loaded
        await node.start()
        yield Edge(node, models, tmp_path)
        await node.drain(1.0)


async def test_a_version_that_was_replaced_leaves_nothing_behind(edge: Edge) -> None:
    old = edge.model()
    await edge.models.switch(artifact(edge.folder, 2.0), edge.node.switch_model)
    assert await edge.answer() == [2.0, 2.0]
    await gone(old)


async def test_a_model_that_was_unloaded_leaves_nothing_behind(edge: Edge) -> None:
    old = edge.model()
    await edge.node.unload_model("small")
    await gone(old)
    await edge.node.load_model("small")
    assert await edge.answer() == [1.0, 1.0]
