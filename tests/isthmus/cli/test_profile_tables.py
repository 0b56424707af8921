"""The tables of `isthmus profile`."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console, RenderableType

from isthmus.cli.profile_tables import device_tables, left_out, model_tables
from isthmus.cli.whole_model_tables import whole_model_tables
from nodes.measure.codec_rates import RATED_CODEC_NAMES
from partitioner.measurements import (
    CodecRate,
    Footprint,
    Half,
    Measurement,
    OpTimes,
    Power,
    SegmentTime,
    Taken,
    digest_of_ops,
)
from partitioner.model import Model
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting


def _printed(parts: list[RenderableType]) -> list[list[str]]:
    """The words of each line."""
    out = StringIO()
    console = Console(file=out, width=140, highlight=False)
    for part in parts:
        console.print(part)
    return [line.split() for line in out.getvalue().splitlines()]


@pytest.fixture
def profile(model: Model, setting: Setting) -> DeviceProfile:
    """The first op takes 6 ms, the others 1 ms each, in runs of the whole that take twice the sum."""
    names = [op.name for op in model.graph.ops]
    times = {name: Measurement(0.006 if name == names[0] else 0.001, 0.0, 9) for name in names}
    whole = Measurement(2 * sum(time.seconds for time in times.values()), 0.0, 9)
    return setting.cloud.with_op_times(OpTimes(model.digest, "eager", 1, 1, times, whole))


def test_ops_are_listed_costliest_first_as_shares_of_the_whole(profile: DeviceProfile, model: Model) -> None:
    lines = _printed(list(model_tables(profile, model)))
    first, count = model.graph.ops[0], len(model.graph.ops)
    share = f"{0.006 / (0.006 + 0.001 * (count - 1)):.1%}"
    assert next(line for line in lines if line and line[0] == first.name and share in line)[1:5] == [
        "1",
        "12",
        "ms",
        share,
    ]


def test_kinds_of_ops_add_up(profile: DeviceProfile, model: Model) -> None:
    lines = _printed(list(model_tables(profile, model)))
    (relu,) = [line for line in lines if line and line[0] == "relu" and line[1] == "3"]
    assert relu[2:4] == ["6", "ms"]


def test_achieved_rates_stand_beside_the_roofline(profile: DeviceProfile, model: Model) -> None:
    lines = _printed(list(model_tables(profile, model)))
    linear = next(line for line in lines if line and line[0] == "linear")
    op = next(op for op in model.graph.ops if "linear" in op.kind)
    assert f"{op.flops / 0.002 / 1e3:.3g}" in linear
    assert any(word.endswith("%") for word in linear[5:])


def test_the_roofline_of_an_op_is_that_of_its_kind(profile: DeviceProfile, model: Model) -> None:
    def reached(device: DeviceProfile, kind: str) -> str:
        lines = _printed(list(model_tables(device, model)))
        return next(word for line in lines if line and line[0] == kind for word in line[5:] if word.endswith("%"))

    slow_linear = replace(profile, kind_flops_per_s={"matmul float32": profile.flops_per_s["float32"] / 1e4})
    assert reached(slow_linear, "linear") != reached(profile, "linear")
    assert reached(slow_linear, "conv2d") == reached(profile, "conv2d")


def test_the_whole_model_shows_loading_memory_and_the_law_of_the_batch(profile: DeviceProfile, model: Model) -> None:
    count, (times,) = len(model.graph.ops), profile.op_times
    whole_s = times.whole.seconds
    wholes = [
        SegmentTime(model.digest, "prefix", "0" * 16, "eager", batch, Measurement(0.75 * batch * whole_s, 0, 9), count)
        for batch in (4, 8)
    ]
    known = profile.with_segment_times(*wholes).with_footprints(Footprint(model.digest, "eager", 1, 0.25, 1000, 2000))
    lines = [" ".join(words) for words in _printed(list(whole_model_tables(known, model)))]
    assert lines[0].startswith("loads in 250 ms (")
    assert "1 kB of parameters; 2 kB of activations at most (batch 1)" in lines[0]
    assert lines[1].startswith("a batch of B, up to 8: ")
    assert not lines[1].endswith(" is 0.0% off")  # the three times are on no one line
    assert [line.split()[-1] for line in lines[3:]] == ["1.00x", "1.33x", "1.33x"]
    assert list(whole_model_tables(profile, model)) == []


def test_spreads_are_shown_where_they_were_kept(profile: DeviceProfile, model: Model) -> None:
    told = Footprint(model.digest, "eager", 1, 0.25, 1000, 2000, load_spread_s=0.01)
    lines = [" ".join(words) for words in _printed(list(whole_model_tables(profile.with_footprints(told), model)))]
    assert lines[0].startswith("loads in 250 ms + 10 ms (")
    rate = profile.codec_rates["zstd"]
    both = {"zstd": replace(rate, encode_spread=0.03, decode_spread=0.004), "raw": rate}
    rows = {words[0]: words for words in _printed(list(device_tables(replace(profile, codec_rates=both)))) if words}
    assert rows["zstd"][-2:] == ["3%,", "0%"]
    assert not rows["raw"][-1].endswith("%")


def test_a_model_measured_on_another_day_than_the_device_says_so(profile: DeviceProfile, model: Model) -> None:
    later = profile.with_session(model.digest, Taken("2026-02-03T10:00:00Z", "somewhere"))
    said = " ".join(_printed(list(model_tables(later, model)))[0])
    assert said.endswith("; 2026-02-03T10:00:00Z on somewhere, apart from the device")
    assert "somewhere" not in " ".join(_printed(list(model_tables(profile, model)))[0])


def test_memory_that_an_engine_hides_is_said_to_be_left_out(profile: DeviceProfile, model: Model) -> None:
    hidden = profile.with_footprints(Footprint(model.digest, "eager", 1, 0.25, 1000, None))
    assert any("memory of activations" in line for line in left_out(hidden, model))


@pytest.fixture
def known(profile: DeviceProfile, model: Model) -> DeviceProfile:
    """All is measured that `isthmus profile` measures."""
    names, time = [op.name for op in model.graph.ops], Measurement(0.01, 0.0, 9)
    sides: tuple[Half, Half] = ("prefix", "suffix")
    halves = [SegmentTime(model.digest, side, digest_of_ops(names[:1]), "eager", 1, time, 1) for side in sides]
    batch = SegmentTime(model.digest, "prefix", digest_of_ops(names), "eager", 2, time, len(names))
    rated = replace(profile, codec_rates=dict.fromkeys(RATED_CODEC_NAMES, CodecRate(1e-9, 1e-6, 1e-9, 1e-6)))
    footprint = Footprint(model.digest, "eager", 1, 0.25, 1000, 2000)
    return rated.with_segment_times(*halves, batch).with_footprints(footprint)


def test_nothing_is_left_out_only_where_nothing_is(known: DeviceProfile, model: Model) -> None:
    (line,) = left_out(known, model)
    assert line.startswith("nothing that this command measures")
    assert list(left_out(known, model, against=False)) == [f"{model.name}: halves at the frontier's cuts: --against"]
    hidden = replace(known, footprints=()).with_footprints(Footprint(model.digest, "eager", 1, 0.25, 1000, None))
    assert "nothing" not in " ".join(left_out(hidden, model))


def test_work_that_data_decides_is_said_to_be_the_least(known: DeviceProfile, model: Model) -> None:
    first, *others = model.graph.ops
    graph = replace(model.graph, ops=(replace(first, flops_are_least=True), *others))
    facts = SimpleNamespace(name=model.name, digest=model.digest, graph=graph, interface=model.interface)
    (line,) = left_out(known, facts)
    assert line.startswith(f"FLOPs of {first.name}: the least")


def test_what_nobody_tried_to_measure_is_listed(known: DeviceProfile, profile: DeviceProfile, model: Model) -> None:
    assert [line.removeprefix(f"{model.name}: ") for line in left_out(profile, model)] == [
        "memory and load time",
        "both halves of any cut",
        "batches above 1",
        "rates of lz4, int6, int5, int4, int3, tiled, transform, webp, jpeg, webp-lossy, avif: "
        "plans leave these codecs out",
    ]
    times = tuple(replace(one, engine="onnxruntime") for one in profile.op_times)
    other = replace(profile, engine="onnxruntime", op_times=times)
    assert f"{model.name}: its answers against eager's" in list(left_out(other, model))


def test_what_a_budget_left_out_is_said_once(profile: DeviceProfile, model: Model) -> None:
    told = tuple(
        f"{model.name}: {what} (takes 9 s or more)" for what in ("memory and load time", "both halves at 3 cuts")
    )
    short = replace(profile, provenance=replace(profile.provenance, left_out=told))
    said = [line.removeprefix(f"{model.name}: ") for line in left_out(short, model)]
    assert [line.split()[0] for line in said] == ["memory", "both", "batches", "rates"]


def test_the_device_says_that_it_is_emulated_and_noisy(setting: Setting) -> None:
    noisy = replace(setting.edge, provenance=replace(setting.edge.provenance, noisy=True))
    text = " ".join(word for line in _printed(list(device_tables(noisy))) for word in line)
    assert "emulated slowdown 40x" in text
    assert "noisy: measure again on a quiet machine, without MODEL" in text
    assert "125 MFLOP/s" in text


def test_the_power_is_shown_with_who_says_so_or_said_to_be_unknown(setting: Setting) -> None:
    told = replace(setting.edge, power=Power(21.04, 8.0, 0.0, "measured by RAPL", measured=True, radio_by="somebody"))
    lines = [[str(part) for part in device_tables(one)][1] for one in (setting.edge, told)]
    assert lines[0] == "power: not known; `isthmus declare` states it"
    assert lines[1] == "power: 21 W busy, 8 W idle, 0 W radio; measured by RAPL; radio somebody"


def test_what_was_not_measured_is_said(profile: DeviceProfile, model: Model, setting: Setting) -> None:
    assert "no MODEL was given" in next(left_out(setting.edge, None))
    assert "plans are made from the roofline" in next(left_out(setting.edge, model))
    planned = replace(setting.edge, provenance=replace(setting.edge.provenance, scaled_from="edge, to 1e+10 FLOP/s"))
    assert next(left_out(planned, model)).endswith("from the roofline scaled from edge, to 1e+10 FLOP/s")
    (times,) = profile.op_times
    few = {name: replace(time, repeats=3) for name, time in list(times.seconds.items())[1:]}
    short = profile.with_op_times(replace(times, seconds=few))
    said = list(left_out(short, model))
    assert said[0].startswith(f"1 ops without a time of their own, {model.graph.ops[0].name} first")
    assert "9 runs of the whole and 3 of each op" in said[1]
