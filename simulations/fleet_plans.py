"""The plans of a scenario's models on its devices."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from isthmus.errors import InvalidConfiguration, InvalidInput
from partitioner.measurements import AffineTime
from partitioner.plan_table import PlanEntry, PlanTable, scaled_curve

__all__ = ["offered_table", "read_plans", "scaled_table"]


def read_plans(path: Path, field: str) -> PlanTable:
    """Raises InvalidConfiguration naming the field."""
    remedy = "make it with `isthmus partition MODEL --edge E.json --cloud C.json --plans FILE`"
    try:
        table = PlanTable.from_json(path.read_bytes())
    except OSError as error:
        raise InvalidConfiguration(
            field, f"cannot be read: {error.strerror}", value=str(path), remedy=remedy
        ) from error
    except InvalidInput as error:
        problem = f"holds no plan table: {error.field} {error.problem}"
        raise InvalidConfiguration(field, problem, value=str(path), remedy=remedy) from error
    if not table.entries:
        raise InvalidConfiguration(field, "holds no plan", value=str(path), remedy=remedy)
    return table


def offered_table(table: PlanTable, plans: Collection[str] | None) -> PlanTable:
    """What edges may use where replicas offer these plans, by id or kind, and no other; None: all of them. Raises
    InvalidConfiguration where nothing is left."""
    if plans is None:
        return table
    named = (one.plan for one in table.entries if one.plan.plan_id in plans or one.plan.kind in plans)
    able = table.able(frozenset(plan.wire_digest for plan in named))
    if not able.entries:
        known = ", ".join(one.plan.plan_id for one in table.entries)
        problem, remedy = f"leaves no plan of {table.model}", f"name split, cloud-only or one of: {known}"
        raise InvalidConfiguration("cloud.plans", problem, value=list(plans), remedy=remedy)
    return able


def scaled_table(table: PlanTable, slowdown: float, speed: float) -> PlanTable:
    """On an edge that takes `slowdown` times as long, and replicas that are `speed` times as fast."""
    if slowdown == speed == 1.0:
        return table
    return replace(table, entries=tuple(_scaled(entry, slowdown, 1.0 / speed) for entry in table.entries))


def _scaled(entry: PlanEntry, edge: float, cloud: float) -> PlanEntry:
    costs = entry.costs
    scaled = replace(
        costs,
        edge=_times(costs.edge, edge),
        cloud=_times(costs.cloud, cloud),
        local_finish=_times(costs.local_finish, edge),
        prefix_s=scaled_curve(costs.prefix_s, edge),
        suffix_s=scaled_curve(costs.suffix_s, cloud),
    )
    return replace(entry, costs=scaled)


def _times(time: AffineTime, factor: float) -> AffineTime:
    return AffineTime(time.fixed_s * factor, time.per_item_s * factor)
