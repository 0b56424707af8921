"""Turns candidate cuts into plans that are ready to run, with times measured on this device and on the replica.

The prediction that a choice rests on uses measured times only: the solver's estimates decide no more than which cuts
are worth measuring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from isthmus.errors import InvalidModel, InvalidPlan
from nodes.codecs.factory import IMAGE_CODEC_NAMES
from nodes.engines.base import Engine
from nodes.engines.factory import engine_for
from nodes.halves import EdgeHalf, EdgeOutcome
from nodes.inputs import ModelInputs
from nodes.measure.accuracy_budget import AccuracyBudget
from nodes.measure.codec_sizes import MeasuredCodec
from nodes.measure.engine_difference import measure_engine_difference
from nodes.measure.timing import measure
from nodes.model_runtime import ReadyPlan, wire_codecs
from nodes.plan_shapes import cut_plan
from nodes.preprocessing import preprocess
from nodes.protocol.events import MeasuredBatch
from nodes.sample_inputs import sample_inputs
from nodes.settings import COMPILING_ENGINES
from partitioner.affine_fit import affine_time
from partitioner.codec_choice import DEFAULT_CODECS
from partitioner.cost_model import Costing
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.measurements import AffineTime
from partitioner.menu import menu_of
from partitioner.model import Model
from partitioner.partition import Setting
from partitioner.plan import InputForm, Plan, TensorCodec
from partitioner.plan_table import EngineDifference, PlanCosts, PlanEntry
from partitioner.profiles import DeviceProfile

__all__ = ["PlanBuilder", "with_cloud_times"]

MEASURED_BATCHES = (1, 2)
MEASURE_BUDGET_S = 0.15
MOST_CUTS = 7
# How far a lossy plan may fall short of perfect agreement on the calibration inputs and still be offered.
ACCURACY_BUDGET = 0.02
# As fast either way: of a frontier's link nothing else counts.
_ANY_LINK = Link(20e6, 20e6, 0.03)
_NO_TIME = AffineTime(0.0, 0.0)


class PlanBuilder:
    """Builds and measures the plans of one model on an edge device. Blocking: call it in a compute pool."""

    def __init__(self, model: Model, engine: Engine, slowdown: float, given: Sequence[Plan] = ()) -> None:
        """given: plans to offer besides those found here."""
        self._model = model
        self._engine = engine
        self._slowdown = slowdown
        self._files = tuple(spec.name for spec in model.interface.inputs if spec.preprocessing is not None)
        self._preprocessing = self._measure_preprocessing()
        self._given = tuple(given)
        self._budget = AccuracyBudget(model, ACCURACY_BUDGET)
        self._differences: dict[tuple[str, str, tuple[str, ...]], EngineDifference] = {}

    @property
    def model(self) -> Model:
        """The model."""
        return self._model

    def edge_only(self) -> tuple[ReadyPlan, ...]:
        """The plans that need no cloud, for each input form."""
        every_op = tuple(op.name for op in self._model.graph.ops)
        ready = self._forms(self._measured(self._plan(every_op, {})))
        plans = [self._with_engines(plan, "eager", None) for plan in ready]
        if not all(_keeps_budget(plan.entry, self._model) for plan in plans):
            problem = f"changes more than {ACCURACY_BUDGET:g} of the answers of {self._model.name}"
            raise InvalidModel("engine", problem, value=self._engine.name, remedy="use engine: eager")
        return tuple(plans)

    def prepare(self, cuts: Iterable[tuple[str, ...]]) -> None:
        """Have the engine compile what plans of these cuts need: not in a pool that serves, it takes long."""
        halves = [self._model.split(cut) for cut in cuts]
        self._engine.prepare([segment for half in halves for segment in (half.prefix, half.suffix)])

    def candidates(self, edge: DeviceProfile, cloud: DeviceProfile) -> tuple[tuple[str, ...], ...]:
        """The cuts worth measuring for these two devices, the splits only."""
        lossy = bool(self._model.calibration)
        hopes = tuple(self._budget.hopes()) if lossy else ()
        setting = Setting(edge, cloud, _ANY_LINK, Costing(codecs=(*DEFAULT_CODECS, *hopes), lossless=not lossy))
        every = len(self._model.graph.ops)
        menu = menu_of(frontier_of(self._model, setting), most_cuts=MOST_CUTS)
        return tuple(cut.edge_ops for cut in menu.cuts if 0 < len(cut.edge_ops) < every)

    def unsplit(self, cloud_engine: str = "eager", told: EngineDifference | None = None) -> tuple[ReadyPlan, ...]:
        """Cloud-only in each encoding and form, for clouds of that engine.

        told: what such a cloud measured of its engine on the whole model. Plans that lose more than the accuracy budget
        by codecs and engines together are left out, here and of the splits.
        """
        plans = [*self._forms(self._measured(self._plan((), {}, "raw")))]
        plans.append(self._measured(self._plan((), {}, "zstd")))  # tokens shrink to a fraction; files have image codecs
        if self._files:
            plans.extend(
                self._measured(replace(self._plan((), dict.fromkeys(self._files, name)), form="bytes"))
                for name in IMAGE_CODEC_NAMES
            )
        named = (self._with_engines(plan, cloud_engine, told) for plan in plans)
        return tuple(plan for plan in named if _keeps_budget(plan.entry, self._model))

    def split(
        self, cut: tuple[str, ...], cloud_engine: str = "eager", told: EngineDifference | None = None
    ) -> tuple[ReadyPlan, ...]:
        """A cut in zstd, in int8 and in its smallest codecs, as far as they keep the accuracy budget as a whole."""
        found = self._budget.codecs_at(cut)
        mixes = [{name: _in(codecs, wanted).named() for name, codecs in found.items()} for wanted in ("zstd", "int8")]
        mixes.append({name: min(codecs, key=lambda one: one.size.ratio).named() for name, codecs in found.items()})
        plans = {plan.plan_id: plan for plan in (self._plan(cut, mix, "zstd") for mix in mixes)}
        every = (ready for plan in plans.values() for ready in self._accurate(plan, ACCURACY_BUDGET))
        named = (self._with_engines(plan, cloud_engine, told) for plan in every)
        return tuple(plan for plan in named if _keeps_budget(plan.entry, self._model))

    def given(self, cloud_engine: str = "eager", told: EngineDifference | None = None) -> tuple[ReadyPlan, ...]:
        """The plans that somebody else chose, in every form that each can take, whatever it loses (which is measured).

        Raises InvalidPlan for one of another model.
        """
        every = (ready for plan in self._given for ready in self._given_plan(plan))
        return tuple(self._with_engines(plan, cloud_engine, told) for plan in every)

    def _given_plan(self, plan: Plan) -> Iterator[ReadyPlan]:
        if plan.model_digest != self._model.digest:
            remedy = "make it with `isthmus partition` from what is served"
            raise InvalidPlan("plan", f"is not one of {self._model.name!r}", value=plan.plan_id, remedy=remedy)
        own = replace(plan, form="tensor", edge_engine=self._engine.name, cloud_engine="eager")
        if any(tensor.codec in IMAGE_CODEC_NAMES for tensor in plan.boundary):
            yield self._measured(replace(own, form="bytes"))
        else:
            yield from self._accurate(own, 1.0)

    def _accurate(self, plan: Plan, budget: float) -> Iterator[ReadyPlan]:
        """The plan in all its forms with what it loses; none where that is more than the budget."""
        accuracy = self._budget.accuracy(plan) if self._model.calibration else None
        if accuracy is not None and accuracy.value < 1.0 - budget:
            return
        ready = self._measured(plan)
        yield from self._forms(replace(ready, entry=replace(ready.entry, accuracy=accuracy)))

    def _with_engines(self, ready: ReadyPlan, cloud_engine: str, told: EngineDifference | None) -> ReadyPlan:
        """The plan for that engine in the cloud, with what both engines do to its answers."""
        plan = replace(ready.entry.plan, cloud_engine=cloud_engine)
        difference = self._difference(plan, told)
        return replace(ready, entry=replace(ready.entry, plan=plan, engine_difference=difference))

    def _difference(self, plan: Plan, told: EngineDifference | None) -> EngineDifference | None:
        """Measured here once for each cut and pair of engines; None where both are exact.

        What another engine in the cloud compiles is not compiled here to measure it: it counts as much as `told`.
        """
        engines = (plan.edge_engine, plan.cloud_engine)
        key = (*engines, plan.edge_ops)
        if engines != ("eager", "eager") and key not in self._differences:
            told = told if engines[1] in COMPILING_ENGINES and engines[0] != engines[1] else None
            other = "eager" if told else engines[1]
            same = other == self._engine.name
            cloud = self._engine if same else engine_for(other, threads=self._engine.threads)
            difference = measure_engine_difference(self._model, plan.edge_ops, self._engine, cloud)
            self._differences[key] = difference.plus(told) if told else difference
        return self._differences.get(key)

    # ---- one plan ----------------------------------------------------------------------------------------------

    def _plan(self, edge_ops: tuple[str, ...], codecs: Mapping[str, str | TensorCodec], default: str = "raw") -> Plan:
        return cut_plan(self._model, edge_ops, codecs, default, engines=(self._engine.name, "eager"))

    def _measured(self, plan: Plan) -> ReadyPlan:
        """The plan with its edge side measured and its wire bytes counted."""
        half = self._half(plan, 1.0)
        crossing = [t.tensor for t in plan.boundary if t.codec in IMAGE_CODEC_NAMES]
        small, large = MEASURED_BATCHES
        inputs = {batch: sample_inputs(self._model, batch, crossing) for batch in MEASURED_BATCHES}
        outcomes = {batch: half.run(inputs[batch]) for batch in MEASURED_BATCHES}
        times = {batch: self._time(half, inputs[batch]) for batch in MEASURED_BATCHES}
        finish_s = measure(lambda: half.finish_locally(outcomes[small]), budget_s=MEASURE_BUDGET_S).seconds
        file_crosses = any(t.codec == "file" for t in plan.boundary)
        up = {batch: 0 if file_crosses else _wire_bytes(plan, outcomes[batch], batch) for batch in MEASURED_BATCHES}
        counted = tuple(
            t if t.spread_bytes else replace(t, bytes=len(e.data))
            for t, e in zip(plan.boundary, outcomes[small].encoded, strict=True)
        )
        down = {batch: sum(self._model.graph.tensors[t.tensor].bytes_at(batch) for t in plan.downlink) for batch in up}
        costs = PlanCosts(
            edge=affine_time({batch: seconds * self._slowdown for batch, seconds in times.items()}),
            cloud=_NO_TIME,
            uplink_bytes_fixed=max(0, 2 * up[small] - up[large]),
            uplink_bytes_per_item=max(0.0, float(up[large] - up[small])),
            downlink_bytes_fixed=max(0, 2 * down[small] - down[large]),
            downlink_bytes_per_item=max(0.0, float(down[large] - down[small])),
            local_finish=AffineTime(0.0, finish_s * self._slowdown),
        )
        entry = PlanEntry(replace(plan, boundary=counted), costs, file_crosses)
        return ReadyPlan(entry, self._half(plan, self._slowdown))

    def _time(self, half: EdgeHalf, inputs: ModelInputs) -> float:
        return measure(lambda: half.run(inputs), budget_s=MEASURE_BUDGET_S).seconds

    def _half(self, plan: Plan, slowdown: float) -> EdgeHalf:
        uplink, downlink = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
        return EdgeHalf(self._model, plan.edge_ops, uplink, downlink, self._engine, slowdown)

    def _forms(self, ready: ReadyPlan) -> tuple[ReadyPlan, ...]:
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
        return ready, ReadyPlan(entry, ready.half)

    def _measure_preprocessing(self) -> AffineTime:
        if not self._files:
            return _NO_TIME
        specs = {spec.name: spec.preprocessing for spec in self._model.interface.inputs}
        images = sample_inputs(self._model, 1, self._files).values

        def once() -> None:
            for name in self._files:
                preprocess(images[name], specs[name])  # type: ignore[arg-type]

        return AffineTime(0.0, measure(once, budget_s=MEASURE_BUDGET_S).seconds * self._slowdown)


def _keeps_budget(entry: PlanEntry, model: Model) -> bool:
    """Whether what the codecs lose and what the engines lose is within the budget in sum."""
    loss = 0.0 if entry.accuracy is None else 1.0 - entry.accuracy.value
    if entry.engine_difference is not None:
        classes = bool(model.interface.outputs[0].labels)
        loss += 1.0 - (entry.engine_difference.top1_agreement if classes else entry.engine_difference.cosine)
    return loss <= ACCURACY_BUDGET


def _in(codecs: tuple[MeasuredCodec, ...], wanted: str) -> MeasuredCodec:
    """That codec; the first where it is not among them."""
    return next((one for one in codecs if one.codec.name == wanted), codecs[0])


def _wire_bytes(plan: Plan, outcome: EdgeOutcome, batch: int) -> int:
    """Expected of `batch` items: the mean of the calibration items where the plan holds it, else as this outcome has.

    One picture says little of the next one where the length of a message follows its contents.
    """
    pairs = zip(plan.boundary, outcome.encoded, strict=True)
    return sum(batch * tensor.bytes if tensor.spread_bytes else len(sent.data) for tensor, sent in pairs)


def with_cloud_times(ready: ReadyPlan, times: Sequence[MeasuredBatch]) -> ReadyPlan:
    """The plan with the replica's times in it."""
    total: dict[float, float] = {t.batch: t.decode_s + t.suffix_s + t.encode_s for t in times}
    cloud = affine_time(total)
    return replace(ready, entry=replace(ready.entry, costs=replace(ready.entry.costs, cloud=cloud)))
