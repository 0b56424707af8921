"""Fitted links are drawn as far as they are asked of, and are the same however that is."""

from __future__ import annotations

from itertools import islice, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.bandwidth_trace import DEAD_BPS, BandwidthTrace
from simulations.line_capacity import LineCapacity
from simulations.markov_line import BLOCK_STEPS, MarkovLine
from simulations.markov_link import MarkovLink

STEP_S = 0.3  # no sum of powers of two
MODEL = MarkovLink(STEP_S, (1e6, 2e6, 7e6), (0.3, 0.3, 0.4), ((0.8, 0.1, 0.1), (0.2, 0.7, 0.1), (0.1, 0.1, 0.8)))
BLOCK_S = BLOCK_STEPS * STEP_S
MOMENTS = st.floats(0.0, 4 * BLOCK_S)
BITS = st.floats(0.0, 2e9)


def recorded(seed: str, steps: int) -> LineCapacity:
    """As many steps drawn beforehand."""
    rng = Random(seed)
    states = islice(MODEL.states(rng, MODEL.first_state(rng)), steps)
    times_s = tuple(number * STEP_S for number in range(steps))
    return LineCapacity(BandwidthTrace(times_s, tuple(MODEL.bandwidths_bps[state] for state in states)))


@given(st.floats(0.0, 0.7 * BLOCK_S), st.floats(0.0, 0.2 * BLOCK_S * 1e6 / 7))
def test_its_beginning_is_what_a_recording_of_the_same_draws_carries_to_the_last_digit(
    start_s: float, bits: float
) -> None:
    line, beforehand = MarkovLine(MODEL, "a"), recorded("a", BLOCK_STEPS)
    assert line.end_s(bits, start_s) == beforehand.end_s(bits, start_s)
    assert line.bps(start_s) == beforehand.bps(start_s)
    assert line.bits(start_s, start_s + 3.0) == beforehand.bits(start_s, start_s + 3.0)


@given(st.lists(st.tuples(MOMENTS, BITS), min_size=1, max_size=6))
@settings(max_examples=25)
def test_it_is_the_same_in_whatever_order_it_is_asked(asked: list[tuple[float, float]]) -> None:
    """What was let go is drawn anew as it was."""
    line = MarkovLine(MODEL, "b")
    there = [(line.end_s(bits, start_s), line.bps(start_s)) for start_s, bits in asked]
    back = [(line.end_s(bits, start_s), line.bps(start_s)) for start_s, bits in reversed(asked)]
    fresh = [
        (one.end_s(bits, start_s), one.bps(start_s)) for start_s, bits in asked for one in (MarkovLine(MODEL, "b"),)
    ]
    assert there == back[::-1] == fresh


@given(MOMENTS, BITS)
@settings(max_examples=25)
def test_what_has_crossed_at_the_end_is_what_was_to_cross(start_s: float, bits: float) -> None:
    line = MarkovLine(MODEL, "c")
    end_s = line.end_s(bits, start_s)
    assert line.bits(start_s, end_s) == pytest.approx(bits, rel=1e-9, abs=1.0)


def test_each_block_goes_on_from_the_state_of_the_one_before() -> None:
    """Three states in turn, of which no block holds a whole number of rounds."""
    turning = MarkovLink(1.0, (1e6, 2e6, 3e6), (0.3, 0.3, 0.4), ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)))
    line = MarkovLine(turning, "d")
    states = [round(line.bps(step + 0.5) / 1e6) - 1 for step in range(3 * BLOCK_STEPS)]
    assert all((one + 1) % 3 == other for one, other in pairwise(states))


def test_of_a_long_run_no_more_than_two_blocks_are_kept_and_no_step_is_drawn_before_it_is_asked_of() -> None:
    line = MarkovLine(MODEL, "e")
    line.bps(0.0)
    assert sum(len(block.states) for block in line._blocks.values()) == 2
    for step in range(5 * BLOCK_STEPS):
        line.end_s(1e5, step * STEP_S)
    assert len(line._blocks) == 2


def test_seeds_tell_lines_apart() -> None:
    one, other = ([MarkovLine(MODEL, seed).bps(step * STEP_S) for step in range(50)] for seed in "fg")
    assert one != other


def test_while_its_state_is_dead_nothing_passes_until_another_one_follows() -> None:
    model = MarkovLink(STEP_S, (DEAD_BPS, 1e6), (0.5, 0.5), ((0.7, 0.3), (0.3, 0.7)))
    line = MarkovLine(model, "h")
    dead = [line.bps((step + 0.5) * STEP_S) <= DEAD_BPS for step in range(200)]
    assert any(dead)
    for step in range(150):
        first = dead.index(False, step)
        moment_s = (step + 0.5) * STEP_S
        assert line.passes_s(moment_s) == (moment_s if first == step else first * STEP_S)


def test_a_state_that_is_never_left_does_not_hold_a_run_up() -> None:
    line = MarkovLine(MarkovLink(1.0, (DEAD_BPS, 1e6), (1.0, 0.0), ((1.0, 0.0), (0.5, 0.5))), "i")
    assert line.passes_s(3.5) == 3.0 + BLOCK_STEPS
