"""A profile as tables: where a model's time goes on a device, what the device can do, and what was not measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from isthmus.cli.least_work import least_work
from isthmus.cli.noise_words import NOISY
from isthmus.cli.plain_table import plain_table
from isthmus.units import format_duration, format_flops, format_size
from partitioner.cost_model import ModelFacts
from partitioner.graph import ModelGraph, Op
from partitioner.measurements import CodecRate, OpTimes, Power
from partitioner.picture_stages import plain_kind
from partitioner.profiles import DeviceProfile
from partitioner.unrated_codecs import FREE_CODECS

__all__ = ["device_tables", "left_out", "model_tables"]

_MOST_ROWS = 12
_FEW_REPEATS = 5
_FREE_S_PER_BYTE = 1e-12  # a terabyte a second: a tensor handed over, not copied


def device_tables(profile: DeviceProfile) -> Iterator[RenderableType]:
    """The roofline and the codecs' rates, with what speaks against trusting them."""
    yield Text(_device_line(profile))
    yield Text(_power_line(profile.power))
    roof = plain_table("roofline", "peak", "even at")
    apart = {kind.rpartition(" ")[2] for kind in profile.kind_flops_per_s}
    whole = {dtype: peak for dtype, peak in profile.flops_per_s.items() if dtype not in apart}
    for name, peak in {**whole, **profile.kind_flops_per_s}.items():
        even = f"{peak / profile.memory_bytes_per_s:.3g} FLOP/B"
        roof.add_row(name, f"{format_flops(peak)}/s", even)
    roof.add_row("memory", f"{format_size(profile.memory_bytes_per_s)}/s", "")
    roof.add_row("any op", f"{format_duration(profile.op_overhead_s)} at least", "")
    yield roof
    codecs = plain_table("codec", "encode", "decode", "encode, fixed", "decode, fixed", "spread")
    for name, rate in profile.codec_rates.items():
        per_byte = (_rate(rate.encode_s_per_byte), _rate(rate.decode_s_per_byte))
        fixed = (format_duration(rate.encode_fixed_s), format_duration(rate.decode_fixed_s))
        codecs.add_row(name, *per_byte, *fixed, _spread(rate))
    yield codecs


def _device_line(profile: DeviceProfile) -> str:
    taken = profile.provenance
    slowed = f", emulated slowdown {profile.slowdown:g}x" if profile.slowdown != 1.0 else ""
    noise = f"{NOISY}, without MODEL" if taken.noisy else "quiet"
    return f"{profile.ran_on}{slowed}; {taken.measured_at} on {taken.host}, load {taken.load:.2f}, {noise}"


def _power_line(power: Power | None) -> str:
    if power is None:
        return "power: not known; `isthmus declare` states it"
    return f"power: {power.busy_w:.3g} W busy, {power.idle_w:.3g} W idle, {power.radio_w:g} W radio; {power.said_by}"


def model_tables(profile: DeviceProfile, model: ModelFacts) -> Iterator[RenderableType]:
    """The kinds of ops and the costliest ops, as shares of the whole run; nothing where the ops were not measured."""
    times = _times(profile, model)
    if times is None:
        return
    apart = profile.taken_apart(model.digest)
    taken = "" if apart is None else f"; {apart.measured_at} on {apart.host}, apart from the device"
    noise = f"; {NOISY}" if profile.taken(model.digest).noisy else ""
    yield Text(f"{model.name}: {format_duration(times.whole.seconds)} for a batch of {times.batch}{taken}{noise}")
    costs = _op_costs(profile, model.graph, times)
    kinds = sorted(costs, key=lambda cost: cost.kind)
    by_kind = [_sum(kind, list(of_kind)) for kind, of_kind in groupby(kinds, key=lambda cost: cost.kind)]
    whole_s = times.whole.seconds
    yield _costs_table("kind of op", by_kind, whole_s)
    yield _costs_table("op", costs, whole_s)


@dataclass(frozen=True, slots=True)
class _Cost:
    name: str
    kind: str
    count: int
    seconds: float
    flops: int
    moved_bytes: int
    roofline_s: float


def _op_costs(profile: DeviceProfile, graph: ModelGraph, times: OpTimes) -> list[_Cost]:
    least = profile.roofline().op_seconds(graph, times.batch)
    shares = times.shares_of_whole()
    return [_op_cost(graph, op, times.batch, shares, least) for op in graph.ops if op.name in shares]


def _op_cost(graph: ModelGraph, op: Op, batch: int, shares: Mapping[str, float], least: Mapping[str, float]) -> _Cost:
    moved = op.parameter_bytes + sum(graph.tensors[name].bytes_at(batch) for name in (*op.inputs, *op.outputs))
    return _Cost(op.name, plain_kind(op.kind), 1, shares[op.name], op.flops_at(batch), moved, least[op.name])


def _sum(kind: str, costs: list[_Cost]) -> _Cost:
    return _Cost(
        kind,
        kind,
        len(costs),
        sum(cost.seconds for cost in costs),
        sum(cost.flops for cost in costs),
        sum(cost.moved_bytes for cost in costs),
        sum(cost.roofline_s for cost in costs),
    )


def _costs_table(what: str, costs: list[_Cost], whole_s: float) -> Table:
    """The costliest; the rest as one line."""
    made = plain_table(what, "ops", "time", "share", "work", "achieved", "of the roofline", "moved")
    ordered = sorted(costs, key=lambda cost: -cost.seconds)
    for cost in ordered[:_MOST_ROWS]:
        made.add_row(*_cost_row(cost, whole_s))
    if rest := ordered[_MOST_ROWS:]:
        made.add_row(*_cost_row(_sum(f"the other {len(rest)}", rest), whole_s))
    return made


def _cost_row(cost: _Cost, whole_s: float) -> tuple[str, ...]:
    share = cost.seconds / whole_s if whole_s > 0 else 0.0
    achieved = f"{format_flops(cost.flops / cost.seconds)}/s" if cost.seconds > 0 else ""
    reached = f"{cost.roofline_s / cost.seconds:.0%}" if cost.seconds > 0 else ""
    work, moved = format_flops(cost.flops), format_size(cost.moved_bytes)
    return (cost.name, str(cost.count), format_duration(cost.seconds), f"{share:.1%}", work, achieved, reached, moved)


def left_out(profile: DeviceProfile, model: ModelFacts | None, *, against: bool = True) -> Iterator[str]:
    """What the file does not know, and what stands in for it. against: whether the halves at the frontier's cuts were
    asked for, or cannot be measured from here."""
    said = [*_left_out_of_model(profile, model), *_left_out_of_device(profile)]
    if model is not None and not against:
        said.append(f"{model.name}: halves at the frontier's cuts: --against")
    yield from said or ("nothing that this command measures; nodes time whole plans when they offer them",)


def _left_out_of_device(profile: DeviceProfile) -> Iterator[str]:
    from nodes.measure.codec_rates import RATED_CODEC_NAMES

    unrated = [name for name in RATED_CODEC_NAMES if name not in FREE_CODECS.union(profile.codec_rates)]
    if unrated:
        yield f"rates of {', '.join(unrated)}: plans leave these codecs out"


def _left_out_of_model(profile: DeviceProfile, model: ModelFacts | None) -> Iterator[str]:
    if model is None:
        yield "op times: no MODEL was given; plans are made from the roofline"
        return
    times = _times(profile, model)
    if times is None:
        yield f"op times of {model.name}: plans are made from the {profile.op_times_are(model.digest)}"
        return
    yield from least_work(model.graph)
    missing = [op.name for op in model.graph.ops if op.name not in times.seconds]
    if missing:
        yield f"{len(missing)} ops without a time of their own, {missing[0]} first: taken from the roofline"
    repeats = min((time.repeats for time in times.seconds.values()), default=times.whole.repeats)
    if min(repeats, times.whole.repeats) < _FEW_REPEATS:
        yield f"repeats: the budget allowed {times.whole.repeats} runs of the whole and {repeats} of each op"
    if any(one.model_digest == model.digest and one.peak_activation_bytes is None for one in profile.footprints):
        yield f"{model.name}: memory of activations (onnxruntime shows it to nobody)"
    yield from profile.provenance.left_out
    yield from _never_tried(profile, model)


def _never_tried(profile: DeviceProfile, model: ModelFacts) -> Iterator[str]:
    """What nobody tried to measure: of what a budget did not allow the profile says so itself."""
    from nodes.engines.factory import EXACT_ENGINES

    of_model = (model.digest, profile.engine)
    segments = [one for one in profile.segment_times if (one.model_digest, one.engine) == of_model]
    inexact = profile.engine not in EXACT_ENGINES
    missing = {
        ("memory", " and load time"): all((one.model_digest, one.engine) != of_model for one in profile.footprints),
        ("its answers", " against eager's"): inexact and model.digest not in profile.engine_differences,
        ("both halves", " of any cut"): all(one.segment != "suffix" for one in segments),
        ("batch", "es above 1"): model.interface.max_batch > 1 and all(one.batch == 1 for one in segments),
    }
    for (title, rest), is_missing in missing.items():
        line = f"{model.name}: {title}"
        if is_missing and not any(told.startswith(line) for told in profile.provenance.left_out):
            yield line + rest


def _times(profile: DeviceProfile, model: ModelFacts) -> OpTimes | None:
    return min(profile.op_times_of(model.digest), key=lambda times: times.batch, default=None)


def _spread(rate: CodecRate) -> str:
    """Of its encoder and its decoder."""
    both = (rate.encode_spread, rate.decode_spread)
    return (
        ", ".join("" if one is None else f"{one:.0%}" for one in both) if any(one is not None for one in both) else ""
    )


def _rate(seconds_per_byte: float) -> str:
    if seconds_per_byte < _FREE_S_PER_BYTE:
        return "free"
    return f"{format_size(1 / seconds_per_byte)}/s"
