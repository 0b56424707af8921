"""Measures a model on this device within a budget: what matters most first, and what did not fit is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import torch

from nodes.engines.base import Engine
from nodes.engines.factory import engine_for
from nodes.measure.activation_memory import peak_activation_bytes, peak_allocated_bytes
from nodes.measure.anchors import anchor_positions, measure_anchors, measure_halves
from nodes.measure.device_profile import measure_model
from nodes.measure.engine_difference import measure_whole_difference
from nodes.measure.frontier_cuts import finding_s, untimed_cuts
from nodes.measure.timing import measure, measure_interleaved
from nodes.sample_inputs import sample_tensors
from partitioner.artifact import load_artifact, save_artifact
from partitioner.measurements import Footprint, Measurement, OpTimes, SegmentTime, digest_of_ops
from partitioner.model import Model
from partitioner.profiles import DeviceProfile
from partitioner.torch_model import TorchModel

__all__ = ["batch_time", "measure_model_within"]

OPS_SHARE, MOST_OPS_S = 0.3, 4.0
FEW_ANCHORS, MANY_ANCHORS = 3, 9
# Calls of the whole model (of one batch) that a step makes at least: warm-up and five repeats.
LEAST_CALLS = 6
LOADS = 3
STEP_BUDGET_S = 2.0
CUT_BUDGET_S = 0.5
# Writing an artifact, then reading and checking it: about half a gigabyte a second.
ARTIFACT_S_PER_BYTE = 2e-9


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing to measure: what the user calls it, the least that it takes, how to do it, whether at any price."""

    title: str
    least_s: float
    run: Callable[[DeviceProfile], DeviceProfile]
    always: bool = False


def measure_model_within(
    model: Model, profile: DeviceProfile, engine: Engine, budget_s: float, against: DeviceProfile | None = None
) -> DeviceProfile:
    """`profile` with what the budget allows of `model`: what must be compiled and op times always, then memory, how far
    the engine is from eager, the halves at a few cuts; with a profile of the other side (`against`) the halves at each
    cut of the exact frontier between the two; larger batches, the halves at more cuts. `provenance.left_out` names the
    rest. An earlier session of this model is forgotten with all that it left out, so that what is compared is
    of one moment. Blocking, on the calling thread.
    """
    started = time.perf_counter()
    compile_s = engine.prepare([model.whole])
    compiled = time.perf_counter()
    engine.load(model.whole)  # onnxruntime exports a torch model first: seconds
    loading_s = time.perf_counter() - compiled
    profile = measure_model(
        model, profile.without_session(model.digest), engine, budget_s=min(MOST_OPS_S, OPS_SHARE * budget_s)
    )
    steps = _steps(model, profile, engine, against, (loading_s, compile_s))
    about, left_out = f"{model.name}: ", list[str]()
    for step in steps:
        if not step.always and time.perf_counter() - started + step.least_s > budget_s:
            left_out.append(f"{about}{step.title} (takes {step.least_s:.1f} s or more)")
        else:
            profile = step.run(profile)
    told = (*(line for line in profile.provenance.left_out if not line.startswith(about)), *left_out)
    return replace(profile, provenance=replace(profile.provenance, left_out=told))


def _steps(
    model: Model, profile: DeviceProfile, engine: Engine, against: DeviceProfile | None, prepared: tuple[float, float]
) -> Iterator[_Step]:
    """prepared: the seconds that loading and compiling took."""
    loading_s, compile_s = prepared
    times = profile.op_times_of(model.digest, engine.name)[0]
    call_s = times.whole.seconds
    load_s = LOADS * (loading_s + 2 * call_s) + ARTIFACT_S_PER_BYTE * sum(
        tensor.nbytes for tensor in model.weights.values()
    )
    # A budget that compiling has eaten up still pays for saying so, and for what the code does to the answers.
    compiled = compile_s > 0

    def footprint(known: DeviceProfile) -> DeviceProfile:
        return known.with_footprints(_footprint(model, engine, compile_s))

    yield _Step("memory and load time", load_s, footprint, compiled)
    if engine.name != "eager":
        yield _difference_step(model, engine, call_s, compiled)
    yield _anchors_step(model, engine, times, FEW_ANCHORS, compile_s)
    if against is not None:
        yield from _frontier_steps(model, profile, engine, against, compile_s)
    for batch in _batches(model.interface.max_batch):
        yield _batch_step(model, engine, batch, call_s)
    yield _anchors_step(model, engine, times, MANY_ANCHORS, compile_s)


def _batches(most: int) -> Iterator[int]:
    """Batches beside 1 that tell how time grows up to `most`: doubled each time, and `most` itself."""
    batch = 2
    while batch < most:
        yield batch
        batch *= 2
    if most > 1:
        yield most


def _difference_step(model: Model, engine: Engine, call_s: float, always: bool) -> _Step:
    items = len(model.calibration[0]) if model.calibration else 1

    def run(known: DeviceProfile) -> DeviceProfile:
        return known.with_engine_difference(model.digest, measure_whole_difference(model, engine))

    return _Step("its answers against eager's", 2 * items * call_s, run, always)


def _anchors_step(model: Model, engine: Engine, times: OpTimes, count: int, compile_s: float) -> _Step:
    whole_s = times.whole.seconds

    def run(known: DeviceProfile) -> DeviceProfile:
        positions = anchor_positions(times.shares_of_whole(), model.graph, count)
        return known.with_segment_times(*measure_anchors(model, engine, positions, whole_s, budget_s=STEP_BUDGET_S))

    return _Step(f"both halves at {count} cuts", count * _halves_s(whole_s, compile_s), run)


def _halves_s(whole_s: float, compile_s: float) -> float:
    """The least that the two halves of a cut take: a compiler about as long as the whole."""
    return 2 * LEAST_CALLS * whole_s + compile_s


def _frontier_steps(
    model: Model, profile: DeviceProfile, engine: Engine, against: DeviceProfile, compile_s: float
) -> Iterator[_Step]:
    """The cuts are known once the first step was taken: no steps follow where the budget forbids it."""
    whole_s = profile.op_times_of(model.digest, engine.name)[0].whole.seconds
    least_s, cuts = _halves_s(whole_s, compile_s), list[tuple[str, ...]]()

    def find(known: DeviceProfile) -> DeviceProfile:
        cuts.extend(untimed_cuts(model, known, against))
        return known

    yield _Step("both halves at the frontier's cuts", finding_s(model, profile, whole_s) + least_s, find)
    for cut in cuts:
        yield _frontier_step(model, engine, cut, whole_s, least_s)


def _frontier_step(model: Model, engine: Engine, cut: tuple[str, ...], whole_s: float, least_s: float) -> _Step:
    def run(known: DeviceProfile) -> DeviceProfile:
        return known.with_segment_times(*measure_halves(model, engine, cut, whole_s, budget_s=CUT_BUDGET_S))

    return _Step(f"both halves of the frontier's cut at {len(cut)} ops, {cut[-1]} the last", least_s, run)


def _batch_step(model: Model, engine: Engine, batch: int, call_s: float) -> _Step:
    def run(known: DeviceProfile) -> DeviceProfile:
        return known.with_segment_times(batch_time(model, engine, batch, call_s))

    return _Step(f"batch {batch}", LEAST_CALLS * (batch + 1) * call_s, run)


def batch_time(model: Model, engine: Engine, batch: int, one_s: float) -> SegmentTime:
    """Of the whole model, in turns with single items, and told by their ratio to what these were measured to take
    before (`one_s`): so a machine that grew slower meanwhile does not bend t(B)."""
    order = [op.name for op in model.graph.ops]
    runner, items, item = engine.load(model.whole), sample_tensors(model, batch), sample_tensors(model, 1)
    many, one = measure_interleaved([lambda: runner(*items), lambda: runner(*item)], budget_s=STEP_BUDGET_S / 4)
    taken = many.scaled(one_s / one.seconds)
    return SegmentTime(model.digest, "prefix", digest_of_ops(order), engine.name, batch, taken, len(order))


def _footprint(model: Model, engine: Engine, compile_s: float) -> Footprint:
    inputs = sample_tensors(model, 1)
    load = _load_time(model, engine, inputs)
    weights = sum(tensor.nbytes for tensor in model.weights.values())
    peak = _peak_bytes(model, engine, inputs)
    return Footprint(model.digest, engine.name, 1, load.seconds, weights, peak, compile_s, load.spread_s)


def _peak_bytes(model: Model, engine: Engine, inputs: tuple[torch.Tensor, ...]) -> int | None:
    """None of an engine whose allocator tells nobody."""
    if not isinstance(model, TorchModel) or engine.name == "onnxruntime":
        return None
    if (engine.name, engine.device) == ("eager", "cpu"):
        return peak_activation_bytes(model, inputs, model.weights.values())
    runner = engine.load(model.whole)
    runner(*inputs)
    return peak_allocated_bytes(runner, inputs, engine.device)


def _load_time(model: Model, engine: Engine, inputs: tuple[torch.Tensor, ...]) -> Measurement:
    """From the artifact on disk (its pages are in memory already) to the first answer, in a running process."""
    with TemporaryDirectory() as folder:
        save_artifact(model, folder)

        def load() -> None:
            # A fresh engine: the other one keeps what it made of the model before.
            engine_for(engine.name, engine.device, threads=engine.threads).load(load_artifact(folder).whole)(*inputs)

        return measure(load, budget_s=0.0, min_repeats=LOADS, warm_ups=0).scaled(engine.slowdown)
