"""The tables of `isthmus profile`."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from isthmus.cli.profile_tables import device_tables, left_out, model_tables
from isthmus.cli.whole_model_tables import whole_model_tables
from partitioner.measurements import Footprint, Measurement, OpTimes, SegmentTime, Taken
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
    assert lines[0].startswith("loads in 250 ms")
    assert "1 kB of parameters; 2 kB of activations at most (batch 1)" in lines[0]
    assert lines[1].startswith("a batch of B, up to 8: ")
    assert not lines[1].endswith(" is 0.0% off")  # the three times are on no one line
    assert [line.split()[-1] for line in lines[3:]] == ["1.00x", "1.33x", "1.33x"]
    assert list(whole_model_tables(profile, model)) == []


def test_a_model_measured_on_another_day_than_the_device_says_so(profile: DeviceProfile, model: Model) -> None:
    later = profile.with_session(model.digest, Taken("2026-02-03T10:00:00Z", "somewhere"))
    said = " ".join(_printed(list(model_tables(later, model)))[0])
    assert said.endswith("; 2026-02-03T10:00:00Z on somewhere, apart from the device")
    assert "somewhere" not in " ".join(_printed(list(model_tables(profile, model)))[0])


def test_memory_that_an_engine_hides_is_said_to_be_left_out(profile: DeviceProfile, model: Model) -> None:
    hidden = profile.with_footprints(Footprint(model.digest, "eager", 1, 0.25, 1000, None))
    assert any("memory of activations" in line for line in left_out(hidden, model))


def test_the_device_says_that_it_is_emulated_and_noisy(setting: Setting) -> None:
    noisy = replace(setting.edge, provenance=replace(setting.edge.provenance, noisy=True))
    text = " ".join(word for line in _printed(list(device_tables(noisy))) for word in line)
    assert "emulated slowdown 40x" in text
    assert "NOISY" in text
    assert "125 MFLOP/s" in text


def test_what_was_not_measured_is_said(profile: DeviceProfile, model: Model, setting: Setting) -> None:
    assert "no MODEL was given" in next(left_out(setting.edge, None))
    assert "plans are made from the roofline" in next(left_out(setting.edge, model))
    (times,) = profile.op_times
    few = {name: replace(time, repeats=3) for name, time in list(times.seconds.items())[1:]}
    short = profile.with_op_times(replace(times, seconds=few))
    said = list(left_out(short, model))
    assert said[0].startswith(f"1 ops without a time of their own, {model.graph.ops[0].name} first")
    assert "9 runs of the whole and 3 of each op" in said[1]
