"""A tensor of hundreds of megabytes goes from a client through edge and cloud and back, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from isthmus.client import Client
from isthmus.errors import TooLarge
from nodes.plan_shapes import cut_plan
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.plan import Plan
from partitioner.spec import ModelSpec

ITEM_FLOATS, ITEMS = 1_000_000, 60
TENSOR_BYTES = 4 * ITEM_FLOATS * ITEMS  # 240 MB
# Peak resident memory beyond that of the idle process, in sizes of the tensor, as docs/limits.md states it.
COPIES = {"client": 6.0, "edge": 10.0, "cloud": 6.0}

RunUp = Callable[..., AbstractContextManager[Any]]


class Scale(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 + 1


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """The artifact's folder, with the plan beside it that sends the input as it is."""
    folder = tmp_path_factory.mktemp("large") / "scale"
    # Finishing would take the edge next to nothing: it would, wherever so many bytes are a little late.
    spec = ModelSpec(Scale().eval(), (torch.zeros(2, ITEM_FLOATS),), "scale", autonomy="cloud-required")
    model = model_from_module(spec)
    save_artifact(model, folder)
    made = cut_plan(model, (), {}, "raw")
    folder.with_suffix(".json").write_text(made.to_json())
    return folder, made


@pytest.fixture(scope="module")
def up(run_up: RunUp, plan: tuple[Path, Plan]) -> Iterator[Any]:
    """Edge and cloud as processes, with room for one such tensor."""
    folder, _ = plan
    models = [{"name": "scale", "source": str(folder), "plans": [str(folder.with_suffix(".json"))]}]
    room, alone = f"{2 * TENSOR_BYTES}", {"max_batch": 1}
    edge = {"limits": {"message": room, "tensor": room}, "kept_memory": f"{3 * TENSOR_BYTES}", "batching": alone}
    cloud = {"limits": {"message": room, "tensor": room}, "batching": alone}
    bare = {"runtime": "process"}
    with run_up(
        models=models,
        edge={"listen": "127.0.0.1:0", **edge, **bare},
        cloud={"registry_listen": "127.0.0.1:0", **cloud, **bare},
    ) as running:
        yield running


def processes(up: Any) -> dict[str, int]:
    """Process ids by role."""
    found = {"client": os.getpid()}
    for child in psutil.Process(up.process.pid).children(recursive=True):
        found |= {role: child.pid for role in ("edge", "cloud") if role in child.cmdline()}
    return found


def peak_bytes(pid: int) -> int:
    (line,) = (one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
def test_a_tensor_of_240_megabytes_comes_back_whole_in_bounded_memory(up: Any, plan: tuple[Path, Plan]) -> None:
    x = np.random.default_rng(0).standard_normal((ITEMS, ITEM_FLOATS), dtype=np.float32)
    pids = processes(up)
    assert pids.keys() == COPIES.keys()
    idle = {role: psutil.Process(pid).memory_info().rss for role, pid in pids.items()}
    for pid in pids.values():
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted from now on
    with Client(up.address) as client:
        result = client.infer("scale", {"x": x}, timeout_s=300, plan_id=plan[1].plan_id)
    copies = {role: (peak_bytes(pid) - idle[role]) / TENSOR_BYTES for role, pid in pids.items()}
    assert result.parameters["isthmus_finished_by"] == "cloud"
    (answer,) = result.outputs.values()
    assert np.array_equal(answer, x * 2 + 1)
    assert {role: round(value, 1) for role, value in copies.items() if value > COPIES[role]} == {}


@pytest.mark.slow
def test_a_tensor_beyond_the_limit_is_refused_and_the_edge_goes_on(up: Any, plan: tuple[Path, Plan]) -> None:
    with Client(up.address) as client:
        with pytest.raises(TooLarge, match=r"larger than max|limits"):
            client.infer("scale", {"x": np.zeros((5 * ITEMS, ITEM_FLOATS), np.float32)}, timeout_s=300)
        assert client.infer("scale", {"x": np.ones((1, ITEM_FLOATS), np.float32)}, timeout_s=60).outputs
