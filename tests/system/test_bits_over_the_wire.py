"""Split over two processes and the wire equals the whole, bit for bit: real models, real cloud node, real gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.batching_load import NobodyListens
from isthmus.zoo import efficientnet_lite0, minilm
from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.fleet import Endpoint
from nodes.halves import EdgeHalf
from nodes.inputs import ModelInputs
from nodes.model_runtime import plan_definition, wire_codecs
from nodes.plan_shapes import cut_plan
from nodes.protocol.edge_stream import WireRequest
from nodes.settings import CloudSettings, ModelArtifact
from nodes.transport.segment_client import SegmentClient
from partitioner.artifact import load_artifact, save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model
from scheduler.estimators.load import CloudQueueEstimator
from tests.partitioner.conftest import EncoderDecoder

BATCHES = (1, 2, 3, 7)
CUTS = 7


@dataclass(frozen=True)
class Subject:
    """A model, and inputs of any batch for it."""

    model: Model
    inputs: Callable[[int], tuple[Tensor, ...]]


def pictures(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 3, 224, 224),)


def channels_last(batch: int) -> tuple[Tensor, ...]:
    return (pictures(batch)[0].to(memory_format=torch.channels_last),)


def sentences(batch: int) -> tuple[Tensor, ...]:
    tokens = torch.randint(5, 1000, (batch, 64))
    return tokens, (torch.arange(64) < torch.randint(4, 64, (batch, 1))).long()


def small_pictures(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 3, 8, 8),)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Three models with their weights, as both sides load them."""
    folder = tmp_path_factory.mktemp("artifacts")
    torch.manual_seed(0)
    skips = model_from_module(EncoderDecoder().eval(), small_pictures(2), "skips")
    made = (model_from_module(efficientnet_lite0()), model_from_module(minilm()), skips)
    for model in made:
        save_artifact(model, folder / model.name)
    return {model.name: folder / model.name for model in made}


@pytest.fixture(scope="module")
def subjects(artifacts: Mapping[str, Path]) -> Mapping[str, Subject]:
    """The models with inputs; the CNN also in the other memory format."""
    cnn, text, skips = (load_artifact(folder) for folder in artifacts.values())
    return {
        "cnn": Subject(cnn, pictures),
        "cnn, channels last": Subject(cnn, channels_last),
        "text": Subject(text, sentences),
        "skips": Subject(skips, small_pictures),
    }


@pytest.fixture(scope="module")
def cloud(artifacts: Mapping[str, Path]) -> Iterator[str]:
    """A cloud node in a process of its own; its address."""
    models = tuple(ModelArtifact(name, str(folder)) for name, folder in artifacts.items())
    settings = CloudSettings(models, listen="127.0.0.1:0", registry="127.0.0.1:1")
    command = [sys.executable, "-m", "scheduler.process_node", "cloud"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(settings.to_json() + "\n")
        process.stdin.flush()
        yield json.loads(process.stdout.readline())["ready"]
        process.stdin.close()  # the order to drain


@pytest.fixture
async def connection(cloud: str) -> AsyncIterator[SegmentClient]:
    """A stream to the cloud node."""
    client = await SegmentClient.connect(Endpoint(cloud), "edge", NobodyListens(), CloudQueueEstimator())
    yield client
    await client.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[ComputePool]:
    """One thread, as the node has: the number of threads is part of what makes bits."""
    with ComputePool(1) as made:
        yield made


@pytest.mark.parametrize("name", ["cnn", "cnn, channels last", "text", "skips"])
async def test_the_split_gives_the_bits_of_the_whole(
    name: str, subjects: Mapping[str, Subject], connection: SegmentClient, pool: ComputePool
) -> None:
    subject = subjects[name]
    ops = [op.name for op in subject.model.graph.ops]
    for number in range(CUTS):
        cut = tuple(ops[: number * len(ops) // CUTS])
        plan = cut_plan(subject.model, cut, {}, "zstd" if number % 2 else "raw")
        await connection.prepare(plan_definition(plan))
        half = EdgeHalf(subject.model, cut, wire_codecs(plan.boundary), wire_codecs(plan.downlink), EagerEngine())
        for batch in BATCHES:
            inputs = subject.inputs(batch)
            outcome = await pool.run(half.run, _named(subject.model, inputs, batch))
            request = WireRequest(1000 * number + batch, plan.wire_digest, batch, outcome.encoded)
            answer = await connection.run(request)
            outputs = half.finish(outcome, answer.tensors, batch)
            whole = await pool.run(_whole, subject.model, inputs)
            for (output, tensor), expected in zip(outputs, whole, strict=True):
                assert torch.equal(tensor, expected), (output, number, batch)


def _named(model: Model, inputs: tuple[Tensor, ...], batch: int) -> ModelInputs:
    return ModelInputs(dict(zip(model.graph.inputs, inputs, strict=True)), batch)


def _whole(model: Model, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        return model(*inputs)
