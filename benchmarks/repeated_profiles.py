"""One model's plans with times measured in two processes: A, A's own repeat, and B.

Segments are measured in several passes in random order, so that a drift of the machine meets all plans alike and the
spread of a segment is that between moments.
"""

from __future__ import annotations

import multiprocessing
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from isthmus.api import load_model, measure_device, measure_model
from nodes.compute_pool import ComputePool
from nodes.engines.allocator import keep_freed_memory
from nodes.engines.factory import engine_for
from nodes.measure.accuracy import measure_accuracy
from nodes.measure.segment_times import measure_segments
from nodes.measure.timing import pooled
from nodes.plan_builder import ACCURACY_BUDGET
from partitioner.cost_model import Costing
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.measured_plan import MeasuredPlan, measured_plan
from partitioner.measurements import SegmentTime
from partitioner.menu import Domain, menu_of
from partitioner.model import Model
from partitioner.plan import InputForm, TensorCodec
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

__all__ = ["Plans", "measured_plans"]

DEVICE_BUDGET_S, SEGMENT_BUDGET_S = 4.0, 0.1
ANY_LINK = Link(1e6, 1e6, 0.0)
Cut = tuple[str, ...]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Effort:
    """passes: over all segments, for each profile. most_cuts: of the menu."""

    passes: int
    most_cuts: int


@dataclass(frozen=True, slots=True)
class Plans:
    """The same plans in every profile, in the same order, with that profile's times."""

    plans: tuple[MeasuredPlan, ...]

    @property
    def unsplit(self) -> tuple[MeasuredPlan, ...]:
        """Edge-only and every cloud-only."""
        return tuple(plan for plan in self.plans if plan.plan.kind != "split")

    def of(self, other: MeasuredPlan) -> MeasuredPlan:
        """The same plan as measured here."""
        return next(plan for plan in self.plans if plan.plan.plan_id == other.plan.plan_id)

    def with_sizes(self, sizes: Mapping[str, int]) -> Plans:
        """The plans where a picture takes that many bytes by these codecs."""
        return Plans(tuple(_resized(plan, sizes) for plan in self.plans))

    def with_pictures(self, found: Mapping[str, TensorCodec]) -> Plans:
        """The plans where a picture takes by these codecs what an edge found on other pictures, spread included."""
        return Plans(tuple(_with_pictures(plan, found) for plan in self.plans))

    def paired(self, other: Plans) -> Iterator[tuple[MeasuredPlan, MeasuredPlan]]:
        """Each plan here and there."""
        return zip(self.plans, other.plans, strict=True)


def _resized(plan: MeasuredPlan, sizes: Mapping[str, int]) -> MeasuredPlan:
    uplink_bytes = sum(sizes.get(tensor.codec, tensor.bytes) for tensor in plan.plan.boundary)
    return replace(plan, costs=replace(plan.costs, uplink_bytes=float(uplink_bytes)))


def _with_pictures(plan: MeasuredPlan, found: Mapping[str, TensorCodec]) -> MeasuredPlan:
    boundary = tuple(found.get(tensor.codec, tensor) for tensor in plan.plan.boundary)
    if boundary == plan.plan.boundary:
        return plan
    made = replace(plan.plan, boundary=boundary)
    return replace(plan, plan=made, costs=replace(plan.costs, uplink_bytes=float(made.uplink_bytes)))


def measured_plans(source: str, domain: tuple[Bounds, Bounds], quick: bool) -> tuple[Plans, Plans, Plans]:
    """By A, by A's repeat, by B. domain: bandwidths and edge loads to make the menu for."""
    effort = Effort(3, 5) if quick else Effort(6, 12)
    model = load_model(source)
    first = _in_a_process(source, effort, 2, Domain(*domain, (1.0, 1.0)), None)
    second = _in_a_process(source, effort, 1, None, tuple(first.accuracy))
    a, repeat, b = (_plans(model, profile, first.accuracy) for profile in (*first.profiles, *second.profiles))
    return a, repeat, b


@dataclass(frozen=True, slots=True)
class _Measured:
    profiles: tuple[DeviceProfile, ...]
    accuracy: Mapping[Cut, float]


def _in_a_process(
    source: str, effort: Effort, repeats: int, domain: Domain | None, cuts: tuple[Cut, ...] | None
) -> _Measured:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        texts, accuracy = processes.submit(_measure, source, effort, repeats, domain, cuts).result()
    return _Measured(tuple(DeviceProfile.from_json(text) for text in texts), accuracy)


def _measure(
    source: str, effort: Effort, repeats: int, domain: Domain | None, cuts: tuple[Cut, ...] | None
) -> tuple[list[str], dict[Cut, float]]:
    """Profiles as JSON, and how well int8 keeps the answers at each cut of the menu (0.0 for cuts that are given)."""
    keep_freed_memory()
    model, profiles = load_model(source), []
    accuracy: dict[Cut, float] = dict.fromkeys(cuts or (), 0.0)
    for repeat in range(repeats):
        profile = measure_model(model, measure_device(DEVICE_BUDGET_S))
        if repeat == 0 and domain is not None:
            accuracy = {cut: _agreement(model, cut) for cut in _menu_cuts(model, profile, domain, effort.most_cuts)}
        profiles.append(_with_segments(model, profile, tuple(accuracy), effort.passes).to_json())
    return profiles, accuracy


def _menu_cuts(model: Model, profile: DeviceProfile, domain: Domain, most_cuts: int) -> Iterator[Cut]:
    """The splits of the menu; the edge's load stands for how much slower it is."""
    menu = menu_of(
        frontier_of(model, _setting(model, profile, not model.calibration)), domain=domain, most_cuts=most_cuts
    )
    return (cut.edge_ops for cut in menu.cuts if 0 < len(cut.edge_ops) < len(model.graph.ops))


def _agreement(model: Model, cut: Cut) -> float:
    """0 where the model has nothing to judge it on."""
    if not model.calibration:
        return 0.0
    floats = [name for name in model.graph.boundary(cut) if model.graph.tensors[name].dtype == "float32"]
    return measure_accuracy(model, cut, dict.fromkeys(floats, "int8")).value


def _with_segments(model: Model, profile: DeviceProfile, cuts: tuple[Cut, ...], passes: int) -> DeviceProfile:
    whole = tuple(op.name for op in model.graph.ops)
    engine, order = engine_for("eager", "cpu", threads=1), random.Random(0)
    found: defaultdict[tuple[object, ...], list[SegmentTime]] = defaultdict(list)
    with ComputePool(1) as pool:
        for _ in range(passes):
            for cut in order.sample([(), whole, *cuts], len(cuts) + 2):
                for time in pool.run_blocking(
                    measure_segments, model, cut, engine, batches=(1,), budget_s=SEGMENT_BUDGET_S
                ):
                    found[time.key].append(time)
    times = (replace(times[0], time=pooled([one.time for one in times])) for times in found.values())
    return profile.with_segment_times(*times)


def _setting(model: Model, profile: DeviceProfile, lossless: bool) -> Setting:
    form: InputForm = "bytes" if any(spec.preprocessing for spec in model.interface.inputs) else "tensor"
    return Setting(profile, profile, ANY_LINK, Costing(form=form, lossless=lossless))


def _plans(model: Model, profile: DeviceProfile, accuracy: Mapping[Cut, float]) -> Plans:
    lossless, lossy = _setting(model, profile, True), _setting(model, profile, False)
    whole = tuple(op.name for op in model.graph.ops)
    encodings = ("raw", "zstd", *(("file", "png", "webp") if lossless.costing.form == "bytes" else ()))
    plans = [measured_plan(model, lossless, whole)]
    plans += [measured_plan(model, lossless, (), dict.fromkeys(model.graph.inputs, one)) for one in encodings]
    for cut, agreement in accuracy.items():
        plans += [measured_plan(model, lossless, cut, _codecs(model, cut, one, one)) for one in ("raw", "zstd")]
        if agreement >= 1.0 - ACCURACY_BUDGET:
            plans.append(measured_plan(model, lossy, cut, _codecs(model, cut, "int8", "zstd")))
    return Plans(tuple(plans))


def _codecs(model: Model, cut: Cut, floating: str, other: str) -> dict[str, str]:
    tensors = model.graph.tensors
    return {n: floating if tensors[n].dtype == "float32" else other for n in model.graph.boundary(cut)}
