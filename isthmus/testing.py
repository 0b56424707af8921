"""Doubles for tests of what one writes oneself: plans and requests in numbers, without a model or a node."""

from __future__ import annotations

from collections.abc import Iterable

from nodes.chooser import ChoiceRequest
from partitioner.measurements import AffineTime
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import PlanCosts, PlanEntry, PlanTable

__all__ = ["plan_table", "request_for"]

_DIGEST = "0" * 64
_ANSWER_BYTES = 4000


def plan_table(
    *, edge_only_s: float | None = None, cloud_only: tuple[float, int, float] | None = None,
    splits: Iterable[tuple[float, int, float]] = (),
) -> PlanTable:  # fmt: skip
    """Plans of a model that does not exist, each by its seconds on the edge, bytes up and seconds in the cloud.

    Costs are those of a request, whatever its batch. The answer of what crosses has 4 kB.
    """
    entries = [] if edge_only_s is None else [_entry("", ("all",), edge_only_s, 0, 0.0)]
    if cloud_only is not None:
        entries.append(_entry("input", (), *cloud_only))
    entries += [_entry(f"cut.{number}", ("first",), *costs) for number, costs in enumerate(splits)]
    return PlanTable("model", _DIGEST, tuple(entries))


def request_for(table: PlanTable, batch: int = 1) -> ChoiceRequest:
    """A request of tensors; `_replace` gives it a deadline, queues, and whatever else a policy looks at."""
    return ChoiceRequest(table, "tensor", batch)


def _entry(boundary: str, edge_ops: tuple[str, ...], edge_s: float, size_bytes: int, cloud_s: float) -> PlanEntry:
    up = (TensorCodec(boundary, "raw", bytes=size_bytes),) if boundary else ()
    down = (TensorCodec("answer", "raw", bytes=_ANSWER_BYTES),) if boundary else ()
    plan = Plan("model", _DIGEST, "tensor", edge_ops, up, down, () if boundary else ("answer",))
    edge, cloud, nothing = AffineTime(edge_s, 0.0), AffineTime(cloud_s, 0.0), AffineTime(0.0, 0.0)
    wire = (size_bytes, 0.0, _ANSWER_BYTES if boundary else 0, 0.0)
    return PlanEntry(plan, PlanCosts(edge, cloud, *wire, nothing))
