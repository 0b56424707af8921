"""Models taken down and put back on a real edge: a real model behind a real node, without a cloud."""

from __future__ import annotations

import asyncio
import gc
import shutil
import weakref
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Literal

import grpc
import pytest
import torch
from torch import nn

from isthmus.errors import InvalidRequest, NotFound, Unavailable
from isthmus.oip import open_inference_pb2 as oip
from isthmus.oip import open_inference_pb2_grpc
from nodes.edge_host import EdgeHost
from nodes.gateway import InferRequest, ModelState
from nodes.inputs import ModelInputs
from nodes.settings import EdgeSettings, ModelArtifact
from nodes.steering import EVERYTHING, PolicySetting, Scope
from nodes.transport.operator_client import OperatorClient
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec
from scheduler.plan_chooser import PlanChooser
from tests.nodes.test_edge_models import gone


def save(folder: Path, bias: float, autonomy: Literal["full", "cloud-required"] = "full") -> None:
    module = nn.Sequential(nn.Linear(4, 2), nn.ReLU()).eval()
    nn.init.constant_(module[0].bias, bias)  # type: ignore[arg-type]
    save_artifact(
        model_from_module(
            ModelSpec(module=module, example_inputs=(torch.zeros(2, 4),), name="small", autonomy=autonomy)
        ),
        folder,
    )


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[EdgeHost]:
    """An edge with one small model."""
    save(tmp_path / "small", 1.0)
    settings = EdgeSettings((ModelArtifact("small", str(tmp_path / "small")),), "127.0.0.1:0", registry="")
    started = await EdgeHost.start(settings, PlanChooser())
    yield started
    await started.drain()  # drained already in one test: it may be twice


def request_for(host: EdgeHost) -> InferRequest:
    (tensor,) = host.node.describe_model("small").inputs
    return InferRequest("small", ModelInputs({tensor.name: torch.ones(1, 4)}, 1))


async def test_an_operator_sets_policies_for_its_models_alone(host: EdgeHost) -> None:
    client = OperatorClient(host.address)
    with pytest.raises(NotFound, match="model 'smal' is not served here; models: small"):
        await client.set_policy(Scope("smal", ""), PolicySetting("edge-only"))
    await client.set_policy(Scope("small", ""), PolicySetting("edge-only"))
    await client.close()


async def test_a_model_that_needs_the_cloud_is_known_by_it(tmp_path: Path) -> None:
    save(tmp_path / "small", 1.0, "cloud-required")
    settings = EdgeSettings((ModelArtifact("small", str(tmp_path / "small")),), "127.0.0.1:0", registry="")
    host = await EdgeHost.start(settings, PlanChooser())
    assert [one.cloud_required for one in host.node.models()] == [True]
    client = OperatorClient(host.address)
    with pytest.raises(InvalidRequest, match="never asks the cloud"):
        await client.set_policy(EVERYTHING, PolicySetting("edge-only"))
    await client.close()
    await host.drain()


async def test_a_model_goes_and_comes_back_the_same(host: EdgeHost) -> None:
    node, request = host.node, request_for(host)
    before = await node.infer(request)
    await node.unload_model("small")
    assert node.models() == (ModelState("small", "", "UNAVAILABLE", "unloaded"),)
    with pytest.raises(NotFound, match="not loaded"):
        await node.infer(request)
    await node.load_model("small")
    after = await node.infer(request)
    assert node.models()[0].state == "READY"
    assert torch.equal(before.outputs[0][1], after.outputs[0][1])
    assert before.plan_id == after.plan_id


async def test_what_is_under_way_is_answered_while_its_model_goes(host: EdgeHost) -> None:
    request = request_for(host)
    under_way = [asyncio.create_task(host.node.infer(request)) for _ in range(4)]
    accepted = asyncio.Event()
    asyncio.get_running_loop().call_soon(accepted.set)  # behind the first step of each of them
    await accepted.wait()
    await host.node.unload_model("small")
    assert len([answer.outputs for answer in await asyncio.gather(*under_way)]) == 4


async def test_unloading_and_loading_twice_change_nothing(host: EdgeHost) -> None:
    await host.node.load_model("small")
    await host.node.unload_model("small")
    await host.node.unload_model("small")
    await asyncio.gather(host.node.load_model("small"), host.node.load_model("small"))
    assert host.node.models()[0].state == "READY"


async def test_an_artifact_that_has_changed_is_not_served_beside_old_measurements(
    host: EdgeHost, tmp_path: Path
) -> None:
    await host.node.unload_model("small")
    shutil.rmtree(tmp_path / "small")
    save(tmp_path / "small", 2.0)
    with pytest.raises(Unavailable, match="has changed"):
        await host.node.load_model("small")
    assert host.node.models()[0].state == "UNAVAILABLE"


async def test_an_artifact_that_is_half_written_is_a_reason_to_come_back(host: EdgeHost, tmp_path: Path) -> None:
    await host.node.unload_model("small")
    spec = (tmp_path / "small" / "spec.json").rename(tmp_path / "spec.json")
    with pytest.raises(Unavailable, match=r"model small: its artifact cannot be used: .*; import it again"):
        await host.node.load_model("small")
    spec.rename(tmp_path / "small" / "spec.json")
    await host.node.load_model("small")
    assert host.node.ready()


async def test_only_configured_names_are_known(host: EdgeHost) -> None:
    for name in ("other", "../small", "/"):
        for change in (host.node.load_model, host.node.unload_model):
            with pytest.raises(NotFound, match="models: small"):
                await change(name)


async def test_what_an_unloaded_model_held_is_let_go(host: EdgeHost) -> None:
    runtime = weakref.ref(host.node._shelf.runtimes["small"])
    builder = weakref.ref(host.node._shelf.builders["small"])
    model = weakref.ref(host.node.runtime("small").model)
    await host.node.unload_model("small")
    gc.collect()
    assert runtime() is None
    assert builder() is None
    await gone(model)


async def test_what_a_replaced_version_held_is_let_go(host: EdgeHost, tmp_path: Path) -> None:
    model = weakref.ref(host.node.runtime("small").model)
    save(tmp_path / "next", 2.0)
    await host.switch_models((ModelArtifact("small", str(tmp_path / "next")),))
    await gone(model)


async def test_a_version_that_is_switched_to_is_measured_as_one_of_the_start_is(
    host: EdgeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = list[Mapping[str, str]]()
    monkeypatch.setattr(host._memory, "keep_start", lambda digests, start: kept.append(digests))
    save(tmp_path / "next", 2.0)
    await host.switch_models((ModelArtifact("small", str(tmp_path / "next")),))
    digest = host.node.runtime("small").model.digest
    assert host.node.profile.has_op_times(digest)
    assert kept == [{"small": digest}]


async def test_a_silent_stream_does_not_hold_up_the_drain(host: EdgeHost) -> None:
    async with grpc.aio.insecure_channel(host.address) as channel:
        stream = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer()
        await stream.write(oip.ModelInferRequest(model_name="nobody"))
        assert "nobody" in getattr(await stream.read(), "error_message")  # noqa: B009 (or the end of the stream)
        async with asyncio.timeout(5):  # its grace is 10 s
            await host.drain()
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE
