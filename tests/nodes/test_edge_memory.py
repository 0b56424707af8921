"""An edge that starts again measures nothing, as long as nothing has changed. Times that are measured twice differ in
their last digits, so those that are equal were remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nodes.chooser import Choice, ChoiceRequest
from nodes.compute_pool import ComputePool
from nodes.edge_host import EdgeHost
from nodes.edge_memory import EdgeMemory, ModelIdentity
from nodes.engines.eager import EagerEngine
from nodes.gateway import InferRequest
from nodes.inputs import ModelInputs
from nodes.measure.device_profile import measure_device, measure_model
from nodes.model_runtime import ReadyPlan
from nodes.plan_builder import PlanBuilder
from nodes.plan_source import PlanSource
from nodes.preparing import PreparingWork
from nodes.request_overhead import RequestOverhead
from nodes.sample_inputs import sample_inputs
from nodes.settings import EdgeSettings, ModelArtifact
from partitioner.artifact import save_artifact
from partitioner.front_end import model_from_module
from partitioner.model import Model
from partitioner.plan_table import PlanCosts, PlanTable
from partitioner.profiles import DeviceProfile
from partitioner.spec import ImagePreprocessing, ModelSpec
from scheduler.plan_chooser import PlanChooser

EDGE = EagerEngine(threads=1)


@pytest.fixture(scope="module")
def pictures() -> Model:
    """Takes tensors and files, so its plans come in two forms."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 15 * 15, 5))
    return model_from_module(
        ModelSpec(
            module=layers.eval(),
            example_inputs=(torch.zeros(2, 3, 32, 32),),
            name="pictures",
            input_names=("image",),
            preprocessing={"image": ImagePreprocessing(32, 32, 36)},
        )
    )


@dataclass(frozen=True)
class Start:
    """What a start found: the device, the overhead, and the costs of the plans that it offers."""

    profile: DeviceProfile
    overhead: RequestOverhead
    costs: tuple[PlanCosts, ...]


class NotingChooser(PlanChooser):
    """Notes the plans that it last chose from."""

    table = PlanTable("", "", ())

    def choose(self, request: ChoiceRequest) -> Choice:
        """See Chooser."""
        self.table = request.table
        return super().choose(request)


@pytest.fixture
def settings(pictures: Model, tmp_path: Path) -> EdgeSettings:
    save_artifact(pictures, tmp_path / "artifact")
    artifact = ModelArtifact("pictures", str(tmp_path / "artifact"))
    return EdgeSettings((artifact,), "127.0.0.1:0", "", memory_folder=str(tmp_path / "memory"))


def start(settings: EdgeSettings, model: Model) -> Start:
    async def started() -> Start:
        chooser = NotingChooser()
        host = await EdgeHost.start(settings, chooser)
        try:
            inputs = ModelInputs({"image": sample_inputs(model, 1).values["image"]}, 1)
            await host.node.infer(InferRequest("pictures", inputs, 30.0))
            return Start(host.node.profile, host.node.overhead, tuple(entry.costs for entry in chooser.table.entries))
        finally:
            await host.drain()

    return asyncio.run(started())


def kept(settings: EdgeSettings) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(settings.memory_folder).iterdir()}


def test_a_second_start_measures_nothing(settings: EdgeSettings, pictures: Model) -> None:
    first = start(settings, pictures)
    before = kept(settings)
    assert start(settings, pictures) == first
    assert kept(settings) == before


def test_a_start_under_other_facts_measures_again(settings: EdgeSettings, pictures: Model) -> None:
    first = start(settings, pictures)
    others = replace(settings, batching=replace(settings.batching, max_batch=2))
    assert start(others, pictures) != first
    assert len(kept(settings)) == 4


def test_a_damaged_memory_is_measured_anew(settings: EdgeSettings, pictures: Model) -> None:
    first = start(settings, pictures)
    for path in Path(settings.memory_folder).iterdir():
        path.write_text(path.read_text()[:-9])
    second = start(settings, pictures)
    assert second != first
    assert start(settings, pictures) == second


def test_without_a_folder_nothing_is_kept(settings: EdgeSettings, pictures: Model, tmp_path: Path) -> None:
    forgetful = replace(settings, memory_folder="")
    assert start(forgetful, pictures) != start(forgetful, pictures)
    assert not (tmp_path / "memory").exists()


@pytest.fixture(scope="module")
def profile(pictures: Model) -> DeviceProfile:
    return measure_model(pictures, measure_device(0.1, EDGE, ("raw", "zstd", "int8")), EDGE, budget_s=0.1)


@pytest.fixture
def pool() -> Iterator[ComputePool]:
    with ComputePool(1) as made:
        yield made


def memory_in(folder: Path, **changed: object) -> EdgeMemory:
    settings = EdgeSettings((), "127.0.0.1:0", "", memory_folder=str(folder))
    return EdgeMemory.of(replace(settings, **changed), EDGE)  # type: ignore[arg-type]


async def plans(
    model: Model, pool: ComputePool, profile: DeviceProfile, memory: EdgeMemory, cloud: DeviceProfile | None = None
) -> tuple[ReadyPlan, ...]:
    """What a new process offers a cloud of that profile."""
    builder = await pool.run(PlanBuilder, model, EDGE, 1.0)
    return await PlanSource(PreparingWork(pool), profile, memory).with_cloud(builder, cloud or profile)


async def test_plans_for_a_cloud_that_was_met_before_are_remembered(
    pictures: Model, pool: ComputePool, profile: DeviceProfile, tmp_path: Path
) -> None:
    first = await plans(pictures, pool, profile, memory_in(tmp_path))
    again = await plans(pictures, pool, profile, memory_in(tmp_path))
    assert [plan.entry for plan in again] == [plan.entry for plan in first]
    assert [plan.prefix_times for plan in again] == [plan.prefix_times for plan in first]
    assert {plan.entry.plan.kind for plan in again} >= {"cloud-only"}
    assert len({id(plan.half) for plan in again}) == len({id(plan.half) for plan in first}) < len(again)
    for old, new in zip(first, again, strict=True):
        inputs = sample_inputs(pictures, 1, old.half.file_inputs)
        sent = [tensor.data for tensor in old.half.run(inputs).encoded]
        assert [tensor.data for tensor in new.half.run(inputs).encoded] == sent


@pytest.mark.parametrize("other", [{"name": "another machine"}, {"threads": 2}])
async def test_for_another_kind_of_cloud_plans_are_measured(
    pictures: Model, pool: ComputePool, profile: DeviceProfile, tmp_path: Path, other: dict[str, object]
) -> None:
    first = await plans(pictures, pool, profile, memory_in(tmp_path))
    there = replace(profile, **other)  # type: ignore[arg-type]
    again = await plans(pictures, pool, profile, memory_in(tmp_path), there)
    assert [plan.entry.costs for plan in again] != [plan.entry.costs for plan in first]


async def test_edge_only_plans_are_those_of_the_same_model_and_given_plans(
    pictures: Model, pool: ComputePool, profile: DeviceProfile, tmp_path: Path
) -> None:
    builder = await pool.run(PlanBuilder, pictures, EDGE, 1.0)
    await PlanSource(PreparingWork(pool), profile, memory_in(tmp_path)).edge_only(builder)
    memory = memory_in(tmp_path)
    same = ModelIdentity(pictures.name, pictures.digest)
    assert [plan.entry.plan.form for plan in memory.plans(same, None)] == ["tensor", "bytes"]
    for other in (replace(same, digest="e" * 64), replace(same, name="m"), replace(same, given=("p",))):
        assert memory.plans(other, None) == ()
