"""What is done where requests are computed to have plans, and what apart from there."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import cast

from nodes.compute_pool import ComputePool
from nodes.edge_memory import EdgeMemory, ModelIdentity
from nodes.model_runtime import ReadyPlan
from nodes.plan_builder import PlanBuilder
from nodes.plan_source import PlanSource
from nodes.preparing import PreparingWork
from partitioner.profiles import DeviceProfile
from tests.nodes.sites import profile, small_model


class Threads:
    """Instead of a builder: on which thread what was asked for."""

    def __init__(self) -> None:
        self.model = small_model()
        self.identity = ModelIdentity(self.model.name, self.model.digest, ())
        self.seen = list[tuple[str, int]]()
        self.cuts = list[tuple[str, ...]]()

    def prepare(self, cuts: Iterable[tuple[str, ...]]) -> None:
        self.cuts += cuts
        self.seen.append(("prepare", threading.get_ident()))

    def edge_only(self) -> tuple[ReadyPlan, ...]:
        self.seen.append(("edge_only", threading.get_ident()))
        return ()


class OneCutRaises(Threads):
    """Calibrating the second of three cuts fails."""

    def __init__(self) -> None:
        super().__init__()
        self.drafted = list[str]()

    def candidates(self, edge: DeviceProfile, cloud: DeviceProfile) -> tuple[tuple[str, ...], ...]:
        return (("a",), ("a", "b"), ("a", "b", "c"))

    def unsplit(self) -> tuple[str, ...]:
        return ("cloud-only",)

    def given(self) -> tuple[str, ...]:
        return ()

    def split(self, cut: tuple[str, ...]) -> tuple[str, ...]:
        if len(cut) == 2:
            raise RuntimeError("expected scalar type Half but found Float")
        return (f"cut {len(cut)}",)

    def ready(self, draft: str, engine: str, told: object) -> tuple[ReadyPlan, ...]:
        self.drafted.append(draft)
        return ()


class Remembered(EdgeMemory):
    """Nothing yet, and what is kept."""

    def __init__(self) -> None:
        super().__init__(None, {})
        self.kept = list[object]()

    def keep_plans(self, *of: object) -> None:
        self.kept.append(of)


async def test_a_cut_that_cannot_be_calibrated_costs_no_other_one() -> None:
    builder, memory = OneCutRaises(), Remembered()
    with ComputePool(1) as pool:
        source = PlanSource(PreparingWork(pool), cast(DeviceProfile, None), memory)
        cloud = profile()
        assert await source.with_cloud(cast(PlanBuilder, builder), cloud) == ()
    assert builder.drafted == ["cloud-only", "cut 1", "cut 3"]
    assert memory.kept == []  # the next start tries it again


async def test_the_whole_model_is_compiled_apart_before_it_is_measured_where_requests_wait() -> None:
    builder = Threads()
    with ComputePool(1) as pool:
        source = PlanSource(PreparingWork(pool), cast(DeviceProfile, None))
        assert await source.edge_only(cast(PlanBuilder, builder)) == ()
        worker = await pool.run(threading.get_ident)
    whole = tuple(op.name for op in builder.model.graph.ops)
    assert builder.cuts[-1] == whole
    assert {name: thread == worker for name, thread in builder.seen} == {"prepare": False, "edge_only": True}
