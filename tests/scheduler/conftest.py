"""Plan tables in numbers: what the scheduler's tests choose from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.measurements import AffineTime
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import PlanCosts, PlanEntry, PlanTable

DIGEST = "d" * 64

EntryMaker = Callable[..., PlanEntry]


def make_entry(
    boundary: str = "",
    codec: str = "raw",
    *,
    edge_s: float = 0.0,
    size: int = 0,
    cloud_s: float = 0.0,
    form: str = "bytes",
    spread: float = 0.0,
    spread_bytes: int = 0,
) -> PlanEntry:
    """A plan of 1 item. boundary "": edge-only. "input": cloud-only. Any other name: split there. spread: of the
    times of both sides. spread_bytes: of the message."""
    up = (TensorCodec(boundary, codec, bytes=size, spread_bytes=spread_bytes),) if boundary else ()
    down = (TensorCodec("logits", "raw", bytes=4000),) if boundary else ()
    edge_ops = () if boundary == "input" else ("stem",) if boundary else ("stem", "head")
    plan = Plan("net", DIGEST, form, edge_ops, up, down, () if boundary else ("logits",))  # type: ignore[arg-type]
    fixed, none = AffineTime(edge_s, 0.0), AffineTime(0.0, 0.0)
    crosses = codec == "file"
    cloud, wire = AffineTime(cloud_s, 0.0), (0 if crosses else size, 0.0, 4000 if boundary else 0, 0.0)
    costs = PlanCosts(fixed, cloud, *wire, none, edge_spread=spread, cloud_spread=spread)
    return PlanEntry(plan, costs, file_crosses=crosses)


@pytest.fixture
def entry() -> EntryMaker:
    """Makes plan entries."""
    return make_entry


@pytest.fixture
def table() -> PlanTable:
    """Edge-only 101 ms; a small split; cloud-only with the file, a re-encoding and the tensor."""
    entries = (
        make_entry(edge_s=0.101),
        make_entry("blocks.4", "zstd", edge_s=0.030, size=40_000, cloud_s=0.005),
        make_entry("input", "file", cloud_s=0.012),
        make_entry("input", "png", edge_s=0.004, size=120_000, cloud_s=0.010),
        make_entry("input", "raw", edge_s=0.002, size=600_000, cloud_s=0.008),
        make_entry("input", "raw", size=600_000, cloud_s=0.008, form="tensor"),
    )
    return PlanTable("net", DIGEST, entries)


@pytest.fixture
def request_of(table: PlanTable) -> Callable[..., ChoiceRequest]:
    """A request for one picture of 250 kB; keywords override."""

    def make(**facts: object) -> ChoiceRequest:
        return ChoiceRequest(**{"table": table, "form": "bytes", "batch": 1, "file_bytes": 250_000, **facts})  # type: ignore[arg-type]

    return make


@pytest.fixture
def link() -> Link:
    """20 Mbit/s each way, 20 ms round trip."""
    return Link.of("20mbps", "20ms")
