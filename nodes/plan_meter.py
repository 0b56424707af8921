"""Measures plans of one model on an edge device: what their prefix takes, whole batches of it, finishing alone, and how
many bytes cross. What does not hang on a plan's codecs is measured once for its cut.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from nodes.batch_times import BatchTimes
from nodes.batching import BatchLimits
from nodes.codecs.factory import encodes_images
from nodes.engines.base import Engine
from nodes.halves import EdgeHalf, EdgeOutcome
from nodes.inputs import ModelInputs
from nodes.limits import NodeLimits
from nodes.measure.batch_times import measure_batches, varied_tensors
from nodes.measure.early_tensors import MOST_TENSORS, early_counts, measure_leads
from nodes.measure.timing import measure
from nodes.model_runtime import ReadyPlan, wire_codecs
from nodes.preprocessing import preprocess
from nodes.sample_inputs import sample_inputs
from partitioner.affine_fit import affine_time
from partitioner.measurements import AffineTime, Measurement
from partitioner.model import Model
from partitioner.plan import InputForm, Plan
from partitioner.plan_table import PlanCosts, PlanEntry

__all__ = ["PlanMeter"]

MEASURED_BATCHES = (1, 2)
MEASURE_BUDGET_S = 0.15
_NO_TIME = AffineTime(0.0, 0.0)


class PlanMeter:
    """Of one model, engine and slowdown. Blocks; see PlanBuilder for where to call it."""

    def __init__(
        self, model: Model, engine: Engine, slowdown: float, batching: BatchLimits, limits: NodeLimits
    ) -> None:
        """batching: up to which batch prefixes are measured."""
        self._model, self._engine, self._slowdown, self._limits = model, engine, slowdown, limits
        inputs = model.interface.inputs
        self._specs = {spec.name: spec.preprocessing for spec in inputs if spec.preprocessing is not None}
        self._files = tuple(self._specs)
        self._most = min(batching.max_batch, model.interface.max_batch)
        self._prefix_times: dict[str, BatchTimes] = {}  # by cut: whatever the codecs
        self._early_counts: dict[str, tuple[int, ...]] = {}  # by cut
        self._finish_times: dict[tuple[str, bool], AffineTime] = {}  # by cut, and whether files crossed as they came

    def measured(self, plan: Plan) -> ReadyPlan:
        """The plan with its edge side measured and its wire bytes counted."""
        half = self._half(plan, 1.0)
        crossing = [t.tensor for t in plan.boundary if encodes_images(t.codec)]
        small, large = MEASURED_BATCHES
        inputs = {batch: sample_inputs(self._model, batch, crossing) for batch in MEASURED_BATCHES}
        outcomes = {batch: half.run(inputs[batch]) for batch in MEASURED_BATCHES}
        times = {batch: self._time(half, inputs[batch]) for batch in MEASURED_BATCHES}
        finish = self._finish_time(half, outcomes, bool(crossing))
        file_crosses = any(t.codec == "file" for t in plan.boundary)
        up = {batch: 0 if file_crosses else _wire_bytes(plan, outcomes[batch], batch) for batch in MEASURED_BATCHES}
        counted = tuple(
            t if t.spread_bytes else replace(t, bytes=len(e.data))
            for t, e in zip(plan.boundary, outcomes[small].encoded, strict=True)
        )
        down = {batch: sum(self._model.graph.tensors[t.tensor].bytes_at(batch) for t in plan.downlink) for batch in up}
        prefix = self._batches(half).scaled(self._slowdown)
        costs = PlanCosts(
            edge=affine_time({batch: time.seconds * self._slowdown for batch, time in times.items()}),
            cloud=_NO_TIME,
            uplink_bytes_fixed=max(0, 2 * up[small] - up[large]),
            uplink_bytes_per_item=max(0.0, float(up[large] - up[small])),
            downlink_bytes_fixed=max(0, 2 * down[small] - down[large]),
            downlink_bytes_per_item=max(0.0, float(down[large] - down[small])),
            local_finish=finish,
            edge_spread=max(time.spread_share for time in times.values()),
            prefix_s=() if half.axes is None else prefix.seconds,
        )
        entry = PlanEntry(replace(plan, boundary=counted), costs, file_crosses)
        early = self._early(plan, half, inputs[small])
        return ReadyPlan(entry, self.half(plan, early), prefix)

    def _batches(self, half: EdgeHalf) -> BatchTimes:
        """t(B) of the half's prefix at full speed; no more than one item where there is nothing to join."""
        if half.axes is None:
            return BatchTimes.of({1: 0.0})
        if half.cut not in self._prefix_times:
            sample = varied_tensors(self._model, self._most)
            self._prefix_times[half.cut] = measure_batches(half.prefix, half.axes, sample, self._most).times
        return self._prefix_times[half.cut]

    def _finish_time(self, half: EdgeHalf, outcomes: Mapping[int, EdgeOutcome], files_crossed: bool) -> AffineTime:
        """What finishing from the cut takes, whatever the codecs: what was sent is kept as it was. outcomes: by batch;
        of a suffix that its weights make long several items take little longer than one."""
        key, budget_s = (half.cut, files_crossed), MEASURE_BUDGET_S / len(outcomes)
        if key not in self._finish_times:
            seconds: dict[float, float] = {}
            for batch, outcome in outcomes.items():
                finished = measure(functools.partial(half.finish_locally, outcome), budget_s=budget_s, min_repeats=3)
                seconds[batch] = finished.seconds * self._slowdown
            self._finish_times[key] = affine_time(seconds)
        return self._finish_times[key]

    def _time(self, half: EdgeHalf, inputs: ModelInputs) -> Measurement:
        """Of a half that has run before, with `inputs` or others: it is warm."""
        return measure(lambda: half.run(inputs), budget_s=MEASURE_BUDGET_S, min_repeats=3, warm_ups=0)

    def _early(self, plan: Plan, half: EdgeHalf, inputs: ModelInputs) -> tuple[int, ...]:
        """After which boundary tensors to send what there is, whatever the codecs."""
        if not 2 <= half.crossing <= MOST_TENSORS:
            return ()
        if half.cut not in self._early_counts:
            offering = self._half(plan, 1.0, range(1, half.crossing))
            leads = measure_leads(offering, inputs) if offering.early else ()
            self._early_counts[half.cut] = early_counts([lead_s * self._slowdown for lead_s in leads])
        return self._early_counts[half.cut]

    def half(self, plan: Plan, early: Sequence[int] = ()) -> EdgeHalf:
        """As it serves. early: see EdgeHalf."""
        return self._half(plan, self._slowdown, early)

    def _half(self, plan: Plan, slowdown: float, early: Sequence[int] = ()) -> EdgeHalf:
        uplink, downlink = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
        return EdgeHalf(self._model, plan.edge_ops, uplink, downlink, self._engine, slowdown, self._limits, early)

    def forms(self, ready: ReadyPlan) -> tuple[ReadyPlan, ...]:
        """The plan for tensors, and for files where the model takes some: preprocessed here first."""
        if not self._files:
            return (ready,)
        edge = ready.entry.costs.edge
        both = AffineTime(edge.fixed_s, edge.per_item_s + self._preprocessing.per_item_s)
        form: InputForm = "bytes"
        entry = replace(
            ready.entry,
            plan=replace(ready.entry.plan, form=form),
            costs=replace(ready.entry.costs, edge=both),
        )
        return ready, replace(ready, entry=entry)

    @functools.cached_property
    def _preprocessing(self) -> AffineTime:
        """Measured where it is needed first: plans of an earlier start have it in their times."""
        images = sample_inputs(self._model, 1, self._files).values

        def once() -> None:
            for name in self._files:
                preprocess(images[name], self._specs[name])  # type: ignore[arg-type]

        return AffineTime(0.0, measure(once, budget_s=MEASURE_BUDGET_S).seconds * self._slowdown)


def _wire_bytes(plan: Plan, outcome: EdgeOutcome, batch: int) -> int:
    """Expected of `batch` items: the mean of the calibration items where the plan holds it, else as this outcome has.

    One picture says little of the next one where the length of a message follows its contents.
    """
    pairs = zip(plan.boundary, outcome.encoded, strict=True)
    return sum(batch * tensor.bytes if tensor.spread_bytes else len(sent.data) for tensor, sent in pairs)
