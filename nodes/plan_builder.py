"""Turns candidate cuts into plans that are ready to run, with times measured on this device and on the replica.

The prediction that a choice rests on uses measured times only: the solver's estimates decide no more than which cuts
are worth measuring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from isthmus.errors import InvalidModel, InvalidPlan
from nodes.batching import DEFAULT_LIMITS, BatchLimits
from nodes.codecs.factory import IMAGE_CODEC_NAMES, encodes_images, image_codec
from nodes.codecs.image import PictureCodec
from nodes.edge_memory import ModelIdentity
from nodes.engines.base import Engine
from nodes.engines.factory import EXACT_ENGINES, engine_for
from nodes.halves import EdgeHalf
from nodes.limits import EDGE_LIMITS, NodeLimits
from nodes.measure.accuracy_budget import AccuracyBudget
from nodes.measure.codec_sizes import MeasuredCodec
from nodes.measure.engine_difference import measure_engine_difference
from nodes.measure.picture_codecs import lossless_picture
from nodes.model_runtime import ReadyPlan
from nodes.plan_meter import PlanMeter
from nodes.plan_shapes import cut_plan
from nodes.protocol.events import PlanTimes
from nodes.settings import COMPILING_ENGINES
from partitioner.affine_fit import affine_time
from partitioner.codec_choice import DEFAULT_CODECS
from partitioner.cost_model import Costing
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.menu import MOST_CUTS, menu_of
from partitioner.model import Model, has_classes, has_judged_items
from partitioner.partition import Setting
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import Accuracy, EngineDifference, PlanEntry
from partitioner.profiles import DeviceProfile

__all__ = ["PlanBuilder", "PlanDraft", "with_cloud_times"]

# How far a lossy plan may fall short of perfect agreement on the calibration inputs and still be offered.
ACCURACY_BUDGET = 0.02
# As fast either way: of a frontier's link nothing else counts.
_ANY_LINK = Link(20e6, 20e6, 0.03)


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
        self._meter = PlanMeter(model, engine, slowdown, batching, limits)
        self._specs = {
            spec.name: spec.preprocessing for spec in model.interface.inputs if spec.preprocessing is not None
        }
        self._files = tuple(self._specs)
        self._given = tuple(given)
        self._budget = AccuracyBudget(model, ACCURACY_BUDGET)
        self._differences: dict[tuple[str, str, tuple[str, ...]], EngineDifference] = {}

    @property
    def model(self) -> Model:
        """The model."""
        return self._model

    @property
    def engine(self) -> Engine:
        """What runs its plans here."""
        return self._engine

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
        lossy = has_judged_items(self._model)
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
        return self._budget.accuracy(plan) if has_judged_items(self._model) else None

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
        timed = self._meter.measured(draft.plan)
        timed = replace(timed, entry=replace(timed.entry, accuracy=draft.accuracy))
        forms = self._meter.forms(timed) if draft.both_forms else (timed,)
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

    def half(self, plan: Plan, early: Sequence[int] = ()) -> EdgeHalf:
        """As it serves. early: see EdgeHalf."""
        return self._meter.half(plan, early)

    def _plan(self, edge_ops: tuple[str, ...], codecs: Mapping[str, str | TensorCodec], default: str = "raw") -> Plan:
        return cut_plan(self._model, edge_ops, codecs, default, engines=(self._engine.name, "eager"))


def _loss(accuracy: Accuracy | None) -> float:
    return 0.0 if accuracy is None else 1.0 - accuracy.value


def _keeps_budget(entry: PlanEntry, model: Model) -> bool:
    """Whether what the codecs lose and what the engines lose is within the budget in sum."""
    loss = _loss(entry.accuracy)
    if entry.engine_difference is not None:
        loss += entry.engine_difference.loss(has_classes(model))
    return loss <= ACCURACY_BUDGET


def _in(codecs: tuple[MeasuredCodec, ...], wanted: str) -> MeasuredCodec:
    """That codec; the first where it is not among them."""
    return next((one for one in codecs if one.codec.name == wanted), codecs[0])


def with_cloud_times(ready: ReadyPlan, times: PlanTimes) -> ReadyPlan:
    """The plan with the replica's times in it. Choices go by the line of one item and two, whatever else it tells.

    Raises InvalidPlan, InvalidProfile where it tells what are no times.
    """
    cloud = affine_time({float(one.batch): one.compute_s for one in times.batches})
    spread = max((one.spread_s / one.compute_s for one in times.batches if one.compute_s), default=0.0)
    costs = replace(ready.entry.costs, cloud=cloud, cloud_spread=spread, suffix_s=times.suffix_s)
    return replace(ready, entry=replace(ready.entry, costs=costs))
