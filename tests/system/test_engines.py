"""Edge and cloud on different engines, as an operator configures them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from isthmus.client import Client
from partitioner.artifact import load_artifact

RunUp = Callable[..., contextlib.AbstractContextManager[Any]]


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
