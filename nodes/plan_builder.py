"""Turns candidate cuts into plans that are ready to run, with times measured on this device and on the replica.

The prediction that a choice rests on uses measured times only: the solver's estimates decide no more than which cuts
are worth measuring.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from isthmus.errors import InvalidModel, InvalidPlan
from nodes.batch_times import BatchTimes
from nodes.batching import DEFAULT_LIMITS, BatchLimits
from nodes.codecs.factory import IMAGE_CODEC_NAMES, encodes_images, image_codec
from nodes.codecs.image import PictureCodec
from nodes.edge_memory import ModelIdentity
from nodes.engines.base import Engine
from nodes.engines.factory import EXACT_ENGINES, engine_for
from nodes.halves import EdgeHalf, EdgeOutcome
from nodes.inputs import ModelInputs
from nodes.limits import EDGE_LIMITS, NodeLimits
from nodes.measure.accuracy_budget import AccuracyBudget
from nodes.measure.batch_times import measure_batches, varied_tensors
from nodes.measure.codec_sizes import MeasuredCodec
from nodes.measure.early_tensors import MOST_TENSORS, early_counts, measure_leads
from nodes.measure.engine_difference import measure_engine_difference
from nodes.measure.picture_codecs import lossless_picture
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
from partitioner.measurements import AffineTime, Measurement
from partitioner.menu import MOST_CUTS, menu_of
from partitioner.model import Model, has_classes
from partitioner.partition import Setting
from partitioner.plan import InputForm, Plan, TensorCodec
from partitioner.plan_table import Accuracy, EngineDifference, PlanCosts, PlanEntry
from partitioner.profiles import DeviceProfile

__all__ = ["PlanBuilder", "PlanDraft", "with_cloud_times"]

MEASURED_BATCHES = (1, 2)
MEASURE_BUDGET_S = 0.15
# How far a lossy plan may fall short of perfect agreement on the calibration inputs and still be offered.
ACCURACY_BUDGET = 0.02
# As fast either way: of a frontier's link nothing else counts.
_ANY_LINK = Link(20e6, 20e6, 0.03)
_NO_TIME = AffineTime(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A plan that is still to be timed here. accuracy: None for a lossless one.

    both_forms: whether files can be preprocessed here and take it too. whatever_it_loses: somebody else chose it.
    """

    plan: Plan
    accuracy: Accuracy | None = None
    both_forms: bool = True
    whatever_it_loses: bool = False


class PlanBuilder:
    """Finds the plans of one model for an edge device, and times them.

    All block. What times (`edge_only`, `ready`) belongs in the pool that serves, for its thread budget, and is short;
    `prepare`, `given` and `split` compile and calibrate: not there, requests would wait for seconds and minutes.
    """

    def __init__(
        self, model: Model, engine: Engine, slowdown: float, given: Sequence[Plan] = (),
        batching: BatchLimits = DEFAULT_LIMITS, limits: NodeLimits = EDGE_LIMITS,
    ) -> None:  # fmt: skip
        """given: plans to offer besides those found here. batching: up to which batch prefixes are measured."""
        self._model = model
        self._engine = engine
        self._slowdown = slowdown
        self._limits = limits
        self._specs = {
            spec.name: spec.preprocessing for spec in model.interface.inputs if spec.preprocessing is not None
        }
        self._files = tuple(self._specs)
        self._given = tuple(given)
        self._most = min(batching.max_batch, model.interface.max_batch)
        self._prefix_times: dict[str, BatchTimes] = {}  # by cut: whatever the codecs
        self._early_counts: dict[str, tuple[int, ...]] = {}  # by cut
        self._finish_times: dict[tuple[str, bool], float] = {}  # by cut, and whether files crossed as they came
        self._budget = AccuracyBudget(model, ACCURACY_BUDGET)
        self._differences: dict[tuple[str, str, tuple[str, ...]], EngineDifference] = {}

    @property
    def model(self) -> Model:
        """The model."""
        return self._model

    @property
    def identity(self) -> ModelIdentity:
        """What the plans that it finds are of."""
        return ModelIdentity(self._model.name, self._model.digest, tuple(plan.plan_id for plan in self._given))

    def edge_only(self) -> tuple[ReadyPlan, ...]:
        """The plans that need no cloud, for each input form."""
        every_op = tuple(op.name for op in self._model.graph.ops)
        plans = self._timed(PlanDraft(self._plan(every_op, {})), "eager", None)
        if not all(_keeps_budget(plan.entry, self._model) for plan in plans):
            problem = f"changes more than {ACCURACY_BUDGET:g} of the answers of {self._model.name}"
            raise InvalidModel("engine", problem, value=self._engine.name, remedy="use engine: eager")
        return tuple(plans)

    def prepare(self, cuts: Iterable[tuple[str, ...]]) -> None:
        """Have the engine compile what plans of these cuts need."""
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

    def unsplit(self) -> tuple[PlanDraft, ...]:
        """Cloud-only in each encoding and form."""
        plans = [PlanDraft(self._plan((), {}, "raw"))]
        # Tokens shrink to a fraction; files have image codecs.
        plans.append(PlanDraft(self._plan((), {}, "zstd"), both_forms=False))
        if self._files:
            encoded = (self._plan((), self._pictures(name)) for name in IMAGE_CODEC_NAMES)
            plans.extend(PlanDraft(replace(plan, form="bytes"), both_forms=False) for plan in encoded)
        return tuple(plans)

    def _pictures(self, name: str) -> Mapping[str, str | TensorCodec]:
        """That codec for each input that may be a file, with the lengths of the calibration pictures where there are
        such; else those of a made-up picture will count."""
        calibration = dict(zip(self._model.graph.inputs, self._model.calibration, strict=False))  # all, or none
        found: dict[str, str | TensorCodec] = dict.fromkeys(self._files, name)
        for tensor, how in self._specs.items():
            made = image_codec(name, how)
            if isinstance(made, PictureCodec) and tensor in calibration:
                found[tensor] = lossless_picture(calibration[tensor], tensor, made, how)
        return found

    def split(self, cut: tuple[str, ...]) -> tuple[PlanDraft, ...]:
        """A cut in zstd, in int8 and in its smallest codecs, as far as they keep the accuracy budget as a whole."""
        found = self._budget.codecs_at(cut)
        mixes = [{name: _in(codecs, wanted).named() for name, codecs in found.items()} for wanted in ("zstd", "int8")]
        mixes.append({name: min(codecs, key=lambda one: one.size.ratio).named() for name, codecs in found.items()})
        plans = {plan.plan_id: plan for plan in (self._plan(cut, mix, "zstd") for mix in mixes)}
        drafts = (PlanDraft(plan, self._accuracy(plan)) for plan in plans.values())
        return tuple(draft for draft in drafts if _loss(draft.accuracy) <= ACCURACY_BUDGET)

    def given(self) -> tuple[PlanDraft, ...]:
        """The plans that somebody else chose, in every form that each can take, whatever it loses (which is measured).

        Raises InvalidPlan for one of another model.
        """
        return tuple(self._given_draft(plan) for plan in self._given)

    def _given_draft(self, plan: Plan) -> PlanDraft:
        if plan.model_digest != self._model.digest:
            remedy = "make it with `isthmus partition` from what is served"
            raise InvalidPlan("plan", f"is not one of {self._model.name!r}", value=plan.plan_id, remedy=remedy)
        own = replace(plan, form="tensor", edge_engine=self._engine.name, cloud_engine="eager")
        if any(encodes_images(tensor.codec) for tensor in plan.boundary):
            own = replace(own, form="bytes")
            return PlanDraft(own, self._accuracy(own), both_forms=False, whatever_it_loses=True)
        return PlanDraft(own, self._accuracy(own), whatever_it_loses=True)

    def _accuracy(self, plan: Plan) -> Accuracy | None:
        return self._budget.accuracy(plan) if self._model.calibration else None

    def ready(
        self, draft: PlanDraft, cloud_engine: str = "eager", told: EngineDifference | None = None
    ) -> tuple[ReadyPlan, ...]:
        """The plan in all its forms, timed, for clouds of that engine; none where codecs and engines together lose
        more than the accuracy budget.

        told: what such a cloud measured of its engine on the whole model.
        """
        plans = self._timed(draft, cloud_engine, told)
        return tuple(plan for plan in plans if draft.whatever_it_loses or _keeps_budget(plan.entry, self._model))

    def _timed(self, draft: PlanDraft, cloud_engine: str, told: EngineDifference | None) -> list[ReadyPlan]:
        timed = self._measured(draft.plan)
        timed = replace(timed, entry=replace(timed.entry, accuracy=draft.accuracy))
        forms = self._forms(timed) if draft.both_forms else (timed,)
        return [self._with_engines(plan, cloud_engine, told) for plan in forms]

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
        if not EXACT_ENGINES.issuperset(engines) and key not in self._differences:
            told = told if engines[1] in COMPILING_ENGINES and engines[0] != engines[1] else None
            other = "eager" if told or engines[1] in EXACT_ENGINES else engines[1]
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
        crossing = [t.tensor for t in plan.boundary if encodes_images(t.codec)]
        small, large = MEASURED_BATCHES
        inputs = {batch: sample_inputs(self._model, batch, crossing) for batch in MEASURED_BATCHES}
        outcomes = {batch: half.run(inputs[batch]) for batch in MEASURED_BATCHES}
        times = {batch: self._time(half, inputs[batch]) for batch in MEASURED_BATCHES}
        finish_s = self._finish_s(half, outcomes[small], bool(crossing))
        file_crosses = any(t.codec == "file" for t in plan.boundary)
        up = {batch: 0 if file_crosses else _wire_bytes(plan, outcomes[batch], batch) for batch in MEASURED_BATCHES}
        counted = tuple(
            t if t.spread_bytes else replace(t, bytes=len(e.data))
            for t, e in zip(plan.boundary, outcomes[small].encoded, strict=True)
        )
        down = {batch: sum(self._model.graph.tensors[t.tensor].bytes_at(batch) for t in plan.downlink) for batch in up}
        costs = PlanCosts(
            edge=affine_time({batch: time.seconds * self._slowdown for batch, time in times.items()}),
            cloud=_NO_TIME,
            uplink_bytes_fixed=max(0, 2 * up[small] - up[large]),
            uplink_bytes_per_item=max(0.0, float(up[large] - up[small])),
            downlink_bytes_fixed=max(0, 2 * down[small] - down[large]),
            downlink_bytes_per_item=max(0.0, float(down[large] - down[small])),
            local_finish=AffineTime(0.0, finish_s * self._slowdown),
            edge_spread=max(time.spread_share for time in times.values()),
        )
        entry = PlanEntry(replace(plan, boundary=counted), costs, file_crosses)
        early = self._early(plan, half, inputs[small])
        return ReadyPlan(entry, self.half(plan, early), self._batches(half).scaled(self._slowdown))

    def _batches(self, half: EdgeHalf) -> BatchTimes:
        """t(B) of the half's prefix at full speed; no more than one item where there is nothing to join."""
        if half.axes is None:
            return BatchTimes.of({1: 0.0})
        if half.cut not in self._prefix_times:
            sample = varied_tensors(self._model, self._most)
            self._prefix_times[half.cut] = measure_batches(half.prefix, half.axes, sample, self._most).times
        return self._prefix_times[half.cut]

    def _finish_s(self, half: EdgeHalf, outcome: EdgeOutcome, files_crossed: bool) -> float:
        """What finishing from the cut takes, whatever the codecs: what was sent is kept as it was."""
        key = half.cut, files_crossed
        if key not in self._finish_times:
            finished = measure(lambda: half.finish_locally(outcome), budget_s=MEASURE_BUDGET_S)
            self._finish_times[key] = finished.seconds
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
            leads = measure_leads(offering, inputs) if offering.offers else ()
            self._early_counts[half.cut] = early_counts([lead_s * self._slowdown for lead_s in leads])
        return self._early_counts[half.cut]

    def half(self, plan: Plan, early: Sequence[int] = ()) -> EdgeHalf:
        """As it serves. early: see EdgeHalf."""
        return self._half(plan, self._slowdown, early)

    def _half(self, plan: Plan, slowdown: float, early: Sequence[int] = ()) -> EdgeHalf:
        uplink, downlink = wire_codecs(plan.boundary), wire_codecs(plan.downlink)
        return EdgeHalf(self._model, plan.edge_ops, uplink, downlink, self._engine, slowdown, self._limits, early)

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
        return ready, replace(ready, entry=entry)

    @functools.cached_property
    def _preprocessing(self) -> AffineTime:
        """Measured where it is needed first: plans of an earlier start have it in their times."""
        if not self._files:
            return _NO_TIME
        images = sample_inputs(self._model, 1, self._files).values

        def once() -> None:
            for name in self._files:
                preprocess(images[name], self._specs[name])  # type: ignore[arg-type]

        return AffineTime(0.0, measure(once, budget_s=MEASURE_BUDGET_S).seconds * self._slowdown)


def _loss(accuracy: Accuracy | None) -> float:
    return 0.0 if accuracy is None else 1.0 - accuracy.value


def _keeps_budget(entry: PlanEntry, model: Model) -> bool:
    """Whether what the codecs lose and what the engines lose is within the budget in sum."""
    loss = _loss(entry.accuracy)
    if entry.engine_difference is not None:
        classes = has_classes(model)
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
    cloud = affine_time({float(one.batch): one.compute_s for one in times})
    spread = max((one.spread_s / one.compute_s for one in times if one.compute_s), default=0.0)
    costs = replace(ready.entry.costs, cloud=cloud, cloud_spread=spread)
    return replace(ready, entry=replace(ready.entry, costs=costs))
