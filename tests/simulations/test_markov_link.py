"""Bandwidth as a Markov chain: what it keeps of a recording, and its file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration
from simulations.bandwidth_trace import DEAD_BPS, BandwidthTrace
from simulations.markov_link import MarkovLink, fit_markov_link, read_markov_link
from simulations.trace_files.reading import read_link_trace

RECORDED = Path("benchmarks/traces/norway3g/norway_bus_1")
TWO = MarkovLink(1.0, (1e6, 2e6), (0.5, 0.5), ((0.9, 0.1), (0.1, 0.9)))


def trace_of(bandwidths_bps: list[float]) -> BandwidthTrace:
    return BandwidthTrace(tuple(map(float, range(len(bandwidths_bps)))), tuple(bandwidths_bps))


@given(st.lists(st.floats(1e3, 1e8), min_size=2, max_size=60), st.integers(1, 9))
def test_in_the_long_run_it_is_in_each_state_and_carries_as_much_as_the_recording(
    bandwidths_bps: list[float], states: int
) -> None:
    model = fit_markov_link(trace_of(bandwidths_bps), 1.0, states)
    assert len(model.shares) <= states
    for state, share in enumerate(model.shares):  # shares times transitions are the shares
        entered = math.fsum(one * row[state] for one, row in zip(model.shares, model.transitions, strict=True))
        assert entered == pytest.approx(share)
    carried_bps = math.fsum(one * bps for one, bps in zip(model.shares, model.bandwidths_bps, strict=True))
    assert carried_bps == pytest.approx(fmean(bandwidths_bps))
    assert list(model.bandwidths_bps) == sorted(model.bandwidths_bps)


def drawn_bps(model: MarkovLink, seed: int, steps: int) -> list[float]:
    """What a link carries, step by step."""
    rng = Random(seed)
    return [model.bandwidths_bps[state] for state in islice(model.states(rng, model.first_state(rng)), steps)]


def test_links_have_the_shares_and_the_runs_of_the_chain() -> None:
    high = [bps > 1.5e6 for bps in drawn_bps(TWO, 5, 50_000)]
    changes = sum(one != other for one, other in pairwise(high))
    assert fmean(high) == pytest.approx(0.5, abs=0.03)
    assert changes / len(high) == pytest.approx(0.1, rel=0.05)


def test_a_link_is_the_same_for_the_same_seed() -> None:
    model = fit_markov_link(read_link_trace(RECORDED).uplink, 1.0, 6)
    one, same, other = (drawn_bps(model, seed, 99) for seed in (1, 1, 2))
    assert one == same != other


def test_a_recording_that_follows_a_pattern_gives_a_chain_that_follows_it() -> None:
    model = fit_markov_link(trace_of([1e6, 5e6, 9e6] * 10), 1.0, 3)
    assert model.transitions == ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    assert model.bandwidths_bps == pytest.approx((1e6, 5e6, 9e6))


def test_a_model_comes_back_from_its_file(tmp_path: Path) -> None:
    model = fit_markov_link(read_link_trace(RECORDED).uplink, 2.0, 5, "norway_bus_1")
    path = tmp_path / "bus.json"
    path.write_text(model.to_json())
    assert read_markov_link(path) == model


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"step_s": 0.0}, "step_s"),
        ({"bandwidths_bps": [1e6, 0.0]}, "bandwidths_bps"),
        ({"shares": [0.5, 0.4]}, "shares"),
        ({"transitions": [[1.0, 0.0]]}, "transitions"),
        ({"transitions": [[0.9, 0.1], [0.5, 0.6]]}, "transitions.1"),
        ({"transitions": [[0.9, 0.1], ["a", 1]]}, "transitions.1.0"),
        ({"extra": 1}, "extra"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_chain_is_refused_by_its_field(tmp_path: Path, change: dict[str, object], field: str) -> None:
    path = tmp_path / "link.json"
    path.write_text(json.dumps({**json.loads(TWO.to_json()), **change}))
    with pytest.raises(InvalidConfiguration, match=field):
        read_markov_link(path)


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_markov_link(tmp_path / "nowhere")


@pytest.mark.parametrize(("trace", "step_s", "states"), [
    (BandwidthTrace((0.0,), (1e6,)), 1.0, 3), (trace_of([1e6, 2e6]), 5.0, 3), (trace_of([1e6, 2e6]), 1.0, 0),
    (trace_of([1e6, 2e6]), 0.0, 3), (trace_of([1e6, 2e6]), 2.0, 3),
])  # fmt: skip
def test_a_recording_too_short_for_its_steps_is_refused(trace: BandwidthTrace, step_s: float, states: int) -> None:
    with pytest.raises(InvalidConfiguration):
        fit_markov_link(trace, step_s, states)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_dead_link_stays_dead_whatever_its_scale(scale: float) -> None:
    """Steps of a recording with irregular times, whose sums are off by a rounding."""
    moments = [one + 0.01 * (one % 7) for one in range(400)]
    bandwidths_bps = [DEAD_BPS if one % 40 < 15 else 1e6 + one for one in range(400)]
    model = fit_markov_link(BandwidthTrace(tuple(map(float, moments)), tuple(bandwidths_bps)), 0.25).scaled(scale)
    assert model.bandwidths_bps[0] == DEAD_BPS
    assert model.bandwidths_bps[1] > 10 * DEAD_BPS


def test_scaled_it_jumps_alike_between_other_bandwidths() -> None:
    once, twice = (drawn_bps(model, 5, 100) for model in (TWO, TWO.scaled(2.0)))
    assert twice == [2.0 * bps for bps in once]


def test_one_state_is_a_steady_link() -> None:
    model = fit_markov_link(trace_of([1e6, 3e6]), 1.0, 1)
    assert model == replace(model, bandwidths_bps=(2e6,), shares=(1.0,), transitions=((1.0,),))
