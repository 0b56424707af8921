"""An edge and a replica as processes, and models that are split where exactly so many bytes cross.

Input and boundary of such a model are as large as the wanted size, its answer is 1 kB. Either half computes 1.3 million
multiplications on one row, long enough (0.2 ms and more) for both sides to hand it to their workers as they do any
model's; the cut and the codec (raw) are given to the edge as a plan, as `isthmus partition -o` would make one. A real
network, efficientnet-lite0 cut in int8 at its eleventh convolution, stands beside them.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.node_process import NodeProcess
from benchmarks.raw_relay import Traffic
from isthmus import zoo
from isthmus.client import AsyncClient, Result
from nodes.plan_shapes import cut_plan
from nodes.settings import CloudSettings, EdgeSettings, ModelArtifact
from nodes.transport.registry_server import RegistryServer
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.plan import Plan
from scheduler.fleet_registry import FleetRegistry

__all__ = ["NETWORK", "SIZES", "Case", "SplitSite", "split_site"]

SIZES = {"1kB": 1_000, "10kB": 10_000, "150kB": 150_000, "3MB": 3_000_000}
NETWORK, NETWORK_CUT = "efficientnet-lite0", "conv2d_11"
READ, HIDDEN = 250, 1024  # floats: of the boundary that either half computes with, and of its layers
TIMEOUT_S, WARM_UP = 30.0, 10


class Gated(nn.Module):
    """The input times a number that the first half computes, and the second half of that: all that crosses."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(*_layers(), nn.Linear(HIDDEN, 1), nn.Sigmoid())
        self.last = nn.Sequential(*_layers(), nn.Linear(HIDDEN, READ))

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.last((x * self.first(x[:, :READ]))[:, :READ])
        return answer


def _layers() -> Sequence[nn.Module]:
    return nn.Linear(READ, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One model, what it is asked and the plan to ask it by. traffic: its tensors' bytes."""

    name: str
    inputs: Mapping[str, NDArray[np.float32]]
    plan_id: str
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class SplitSite:
    """A running edge with a replica."""

    client: AsyncClient
    cases: tuple[Case, ...]

    async def ask(self, case: Case) -> Result:
        """One split request that the replica finished."""
        result = await self.client.infer(case.name, case.inputs, TIMEOUT_S, plan_id=case.plan_id)
        assert result.parameters["isthmus_finished_by"] == "cloud", result.parameters
        return result


@contextlib.asynccontextmanager
async def split_site(names: Sequence[str], seed: int) -> AsyncIterator[SplitSite]:
    """names: of SIZES, and NETWORK."""
    random = np.random.default_rng(seed)
    async with contextlib.AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = {name: _case(name, random) for name in names}
        artifacts = tuple(_artifact(model, plan, scratch / name) for name, (model, plan, _) in made.items())
        registry = await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
        stack.push_async_callback(registry.stop)
        replica = NodeProcess("cloud", CloudSettings(artifacts, "127.0.0.1:0", registry.address))
        edge = NodeProcess("edge", EdgeSettings(artifacts, "127.0.0.1:0", registry.address))
        for node in (replica, edge):
            stack.push_async_callback(node.end, kill=True)
            await node.start()
        await edge.planned()
        client = await stack.enter_async_context(AsyncClient(edge.address))
        site = SplitSite(client, tuple(case for _, _, case in made.values()))
        yield SplitSite(client, tuple([await _warm(site, case) for case in site.cases]))


def _case(name: str, random: np.random.Generator) -> tuple[Model, Plan, Case]:
    if name == NETWORK:
        model = model_from_module(zoo.efficientnet_lite0())
        plan = cut_plan(model, _upto(model, NETWORK_CUT), {}, "int8")
        values = random.standard_normal((1, 3, 224, 224), dtype=np.float32)
    else:
        torch.manual_seed(0)
        width = SIZES[name] // 4
        model = model_from_module(Gated().eval(), (torch.zeros(2, width),), name)
        plan = cut_plan(model, _upto(model, "mul"), {}, "raw")
        values = random.standard_normal((1, width), dtype=np.float32)
    return model, plan, Case(name, {model.interface.inputs[0].name: values}, plan.plan_id, Traffic(values.nbytes, 0, 0))


def _upto(model: Model, last: str) -> tuple[str, ...]:
    """The ops up to the one of that name, or of that kind where its number differs from size to size."""
    ops = [op.name for op in model.graph.ops]
    place = next(place for place, name in enumerate(ops) if name == last or name.startswith(f"{last}_"))
    return tuple(ops[: place + 1])


def _artifact(model: Model, plan: Plan, folder: Path) -> ModelArtifact:
    save_artifact(model, folder)
    return ModelArtifact(folder.name, str(folder), (plan.to_json(),))


async def _warm(site: SplitSite, case: Case) -> Case:
    """With the bytes that cross, as the edge tells them."""
    result = [await site.ask(case) for _ in range(WARM_UP)][-1]
    answer = sum(output.nbytes for output in result.outputs.values())
    onward = int(result.parameters["isthmus_wire_bytes"]) - answer
    return replace(case, traffic=replace(case.traffic, onward=onward, answer=answer))
