"""Edge and cloud on different engines, as an operator configures them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from isthmus.client import Client
from partitioner.artifact import load_artifact, save_artifact
from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec

RunUp = Callable[..., contextlib.AbstractContextManager[Any]]


@pytest.mark.slow
def test_an_eager_edge_works_with_a_cloud_on_onnxruntime(run_up: RunUp, artifact: Path) -> None:
    model, picture = load_artifact(artifact), torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with (
        run_up(
            edge={"runtime": "process", "listen": "127.0.0.1:0", "emulate_slowdown": 4},
            cloud={"runtime": "process", "registry_listen": "127.0.0.1:0", "engine": "onnxruntime"},
            link={"bandwidth": "1gbps", "rtt": "1ms"},
        ) as running,
        Client(running.address) as client,
    ):
        result = client.infer(model.name, {"image": picture.numpy()}, timeout_s=60, policy="cloud-only")
    found, exact = torch.tensor(result.outputs["logits"]), model(picture)[0]
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-4)
    assert not torch.equal(found, exact)  # eager's own bits would mean that the edge finished by itself


@pytest.mark.slow
@pytest.mark.parametrize("edge_engine", ["eager", "aot"])
def test_a_cloud_on_compiled_code_serves(
    run_up: RunUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edge_engine: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(1800, 10))
    model = model_from_module(ModelSpec(layers.eval(), (torch.randn(2, 3, 32, 32),), name="small"))
    save_artifact(model, tmp_path / "small")
    with (
        run_up(
            models=[{"name": "small", "source": str(tmp_path / "small")}],
            edge={"runtime": "process", "listen": "127.0.0.1:0", "engine": edge_engine, "emulate_slowdown": 4},
            cloud={"runtime": "process", "registry_listen": "127.0.0.1:0", "engine": "aot"},
            link={"bandwidth": "1gbps", "rtt": "1ms"},
        ) as running,
        Client(running.address) as client,
    ):
        for policy in ("cloud-only", "edge-only"):
            picture = torch.randn(1, 3, 32, 32)
            name, output = model.interface.inputs[0].name, model.interface.outputs[0].name
            result = client.infer("small", {name: picture.numpy()}, timeout_s=60, policy=policy)
            torch.testing.assert_close(torch.tensor(result.outputs[output]), model(picture)[0], rtol=1e-4, atol=1e-4)
            assert result.parameters["isthmus_finished_by"] == ("cloud" if policy == "cloud-only" else "edge")
    assert list((tmp_path / "cache" / "isthmus" / "compiled" / "aot").glob("*.pt2"))
