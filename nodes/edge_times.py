"""What the edge's side of a plan on offer takes, measured again beside requests: one run at a time, each only while the
edge has nothing else to do."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from nodes.compute_pool import ComputePool
from nodes.inputs import ModelInputs
from nodes.measure.timing import summary
from nodes.model_runtime import ReadyPlan
from nodes.sample_inputs import sample_inputs
from partitioner.affine_fit import affine_time
from partitioner.measurements import AffineTime, Measurement
from partitioner.model import Model

__all__ = ["EdgeTimes", "QuietTimer", "measure_edge_times", "with_edge_times"]

MEASURED_BATCHES = (1, 2)
MEASURE_BUDGET_S = 0.15
LEAST_REPEATS, MOST_REPEATS = 5, 200

T = TypeVar("T")


class QuietTimer:
    """Times runs on the pool that serves. A request that comes meanwhile waits for one run at most, as behind another
    request; the next run waits until it is quiet again."""

    def __init__(self, pool: ComputePool, quiet: Callable[[], Awaitable[None]]) -> None:
        """quiet: returns when the edge has nothing else to do."""
        self._pool, self._quiet = pool, quiet

    async def measure(self, run: Callable[[], object], budget_s: float = MEASURE_BUDGET_S) -> Measurement:
        """The 10th percentile of repeated runs; the first is thrown away."""
        await self.run(run)
        times: list[float] = []
        while len(times) < LEAST_REPEATS or (sum(times) < budget_s and len(times) < MOST_REPEATS):
            times.append(await self.run(lambda: _seconds(run)))
        return summary(times)

    async def run(self, work: Callable[[], T]) -> T:
        """`work()` once, when it is quiet."""
        await self._quiet()
        return await self._pool.run(work)


def _seconds(run: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    run()
    return time.perf_counter() - began_s


@dataclass(frozen=True, slots=True)
class EdgeTimes:
    """What may have changed of a plan's costs since it was measured: nothing of its bytes, nothing of the cloud."""

    edge: AffineTime
    edge_spread: float
    local_finish: AffineTime

    def applied_to(self, ready: ReadyPlan) -> ReadyPlan:
        """The plan with these. t(B) of its prefix keeps its shape, and grows or shrinks as one item did."""
        costs = ready.entry.costs
        before_s = costs.edge.at(1)
        factor = self.edge.at(1) / before_s if before_s > 0 else 1.0
        prefix = ready.prefix_times.scaled(factor)
        fresh = replace(
            costs,
            edge=self.edge,
            edge_spread=self.edge_spread,
            local_finish=self.local_finish,
            prefix_s=prefix.seconds if costs.prefix_s else (),
        )
        return ReadyPlan(replace(ready.entry, costs=fresh), ready.half, prefix)


def with_edge_times(plans: Sequence[ReadyPlan], times: Mapping[str, EdgeTimes]) -> tuple[ReadyPlan, ...]:
    """The plans with their fresh times, by plan id; one that was not measured again is as it was."""
    return tuple(
        times[plan_id].applied_to(one) if (plan_id := one.entry.plan.plan_id) in times else one for one in plans
    )


async def measure_edge_times(ready: ReadyPlan, model: Model, timer: QuietTimer) -> EdgeTimes:
    """As the half serves, emulated slowdown included."""
    half = ready.half
    files = half.file_inputs or (_files_of(model) if ready.entry.plan.form == "bytes" else ())
    inputs = {batch: sample_inputs(model, batch, files) for batch in MEASURED_BATCHES}
    times = {batch: await _half_time(ready, inputs[batch], timer) for batch in MEASURED_BATCHES}
    spread = max(time.spread_share for time in times.values())
    edge = affine_time({batch: time.seconds for batch, time in times.items()})
    if ready.entry.plan.kind == "edge-only":  # nothing is left to finish
        return EdgeTimes(edge, spread, ready.entry.costs.local_finish)
    finished: dict[float, float] = {}
    for batch in MEASURED_BATCHES:
        outcome = await timer.run(partial(half.run, inputs[batch]))
        measured = await timer.measure(partial(half.finish_locally, outcome), MEASURE_BUDGET_S / 2)
        finished[batch] = measured.seconds
    return EdgeTimes(edge, spread, affine_time(finished))


async def _half_time(ready: ReadyPlan, inputs: ModelInputs, timer: QuietTimer) -> Measurement:
    return await timer.measure(lambda: ready.half.run(inputs))


def _files_of(model: Model) -> tuple[str, ...]:
    """Inputs that may come as files, which are preprocessed here."""
    return tuple(spec.name for spec in model.interface.inputs if spec.preprocessing is not None)
