"""What is done where requests are computed to have plans, and what apart from there."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import cast

from nodes.compute_pool import ComputePool
from nodes.edge_memory import ModelIdentity
from nodes.model_runtime import ReadyPlan
from nodes.plan_builder import PlanBuilder
from nodes.plan_source import PlanSource
from partitioner.profiles import DeviceProfile
from tests.nodes.sites import small_model


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


async def test_the_whole_model_is_compiled_apart_before_it_is_measured_where_requests_wait() -> None:
    builder = Threads()
    with ComputePool(1) as pool:
        source = PlanSource(pool, cast(DeviceProfile, None))
        assert await source.edge_only(cast(PlanBuilder, builder)) == ()
        worker = await pool.run(threading.get_ident)
    whole = tuple(op.name for op in builder.model.graph.ops)
    assert builder.cuts[-1] == whole
    assert {name: thread == worker for name, thread in builder.seen} == {"prepare": False, "edge_only": True}
