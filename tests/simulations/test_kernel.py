"""The simulated clock: order, time, cancelling, equal runs."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidQuantity
from simulations.kernel import Event, Simulation

TIMES = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(TIMES))
def test_actions_happen_by_time_then_in_the_order_of_the_calls(planned: list[float]) -> None:
    simulation, happened = Simulation(), list[tuple[float, int]]()

    def happen(time_s: float, number: int) -> None:
        assert simulation.now_s == time_s
        happened.append((time_s, number))

    for number, time_s in enumerate(planned):
        simulation.at(time_s, happen, time_s, number)
    simulation.run()
    assert happened == sorted((time_s, number) for number, time_s in enumerate(planned))


@given(st.lists(st.tuples(TIMES, st.booleans())))
def test_what_is_cancelled_does_not_happen(planned: list[tuple[float, bool]]) -> None:
    simulation, happened = Simulation(), list[int]()
    events = [simulation.at(time_s, happened.append, number) for number, (time_s, _) in enumerate(planned)]
    for event, (_, cancelled) in zip(events, planned, strict=True):
        if cancelled:
            simulation.cancel(event)
            simulation.cancel(event)
    simulation.run()
    assert sorted(happened) == [number for number, (_, cancelled) in enumerate(planned) if not cancelled]


def test_actions_schedule_more_at_once_or_later() -> None:
    simulation, happened = Simulation(), list[tuple[float, str]]()

    def first() -> None:
        happened.append((simulation.now_s, "first"))
        simulation.after(0.0, second)
        simulation.after(1.5, last)

    def second() -> None:
        happened.append((simulation.now_s, "second"))

    def last() -> None:
        happened.append((simulation.now_s, "last"))

    simulation.at(1.0, first)
    simulation.run()
    assert happened == [(1.0, "first"), (1.0, "second"), (2.5, "last")]
    assert simulation.now_s == 2.5


@given(st.lists(TIMES, min_size=1, max_size=8), st.lists(TIMES, max_size=4))
def test_moments_that_are_planned_one_by_one_are_those_that_were_meant(
    planned: list[float], stops: list[float]
) -> None:
    """Each action plans the next one, as clients do, each moment twice: a delay from now might miss it by an ulp."""
    moments, simulation, happened = sorted(planned * 2), Simulation(), list[float]()

    def come(number: int) -> None:
        assert simulation.now_s == moments[number]
        happened.append(moments[number])
        if number + 1 < len(moments):
            simulation.at(moments[number + 1], come, number + 1)

    simulation.at(moments[0], come, 0)
    for stop_s in sorted(stops):
        simulation.run(stop_s)
        assert simulation.now_s == stop_s
        assert happened == [moment_s for moment_s in moments if moment_s < stop_s]
    simulation.run()
    assert happened == moments


def test_what_one_moment_holds_comes_in_the_order_of_the_calls_wherever_it_was_planned() -> None:
    """From 0.503 on, a delay to 1.506 would end an ulp behind it."""
    simulation, happened = Simulation(), list[str]()

    def plan() -> None:
        simulation.at(1.506, happened.append, "first")
        simulation.at(1.2, simulation.at, 1.506, happened.append, "second")

    simulation.at(0.503, plan)
    simulation.run(1.506)
    assert (happened, simulation.now_s) == ([], 1.506)
    simulation.at(1.506, happened.append, "third")
    simulation.run()
    assert happened == ["first", "second", "third"]


def test_a_run_ends_at_its_time_and_goes_on_from_there() -> None:
    simulation, happened = Simulation(), list[float]()
    for time_s in (1.0, 2.0, 3.0):
        simulation.at(time_s, happened.append, time_s)
    simulation.run(until_s=2.0)
    assert (happened, simulation.now_s) == ([1.0], 2.0)
    simulation.run(until_s=10.0)
    assert (happened, simulation.now_s) == ([1.0, 2.0, 3.0], 10.0)


@pytest.mark.parametrize("time_s", [0.5, -math.inf, math.nan])
def test_the_past_is_refused(time_s: float) -> None:
    simulation = Simulation()
    simulation.run(until_s=1.0)
    with pytest.raises(InvalidQuantity, match="before now"):
        simulation.at(time_s, print)
    with pytest.raises(InvalidQuantity):
        simulation.after(-1e-9, print)


def test_an_error_ends_the_run_and_the_rest_can_go_on() -> None:
    simulation, happened = Simulation(), list[str]()

    def fail() -> None:
        raise RuntimeError("made to fail")

    failing = simulation.at(1.0, fail)
    simulation.at(2.0, happened.append, "rest")
    with pytest.raises(RuntimeError):
        simulation.run()
    simulation.cancel(failing)
    simulation.run()
    assert happened == ["rest"]


def test_a_cancelled_event_of_the_past_harms_nothing() -> None:
    simulation, events = Simulation(), list[Event]()
    events.append(simulation.at(1.0, lambda: simulation.cancel(events[0])))
    simulation.run()
    assert simulation.now_s == 1.0


TRACE = """
import hashlib, random
from simulations.kernel import Simulation
simulation, rng, seen = Simulation(), random.Random(5), []
names = {"a", "b", "c", "d"}  # a set's order follows the hash seed: nothing may depend on it
def step(name):
    seen.append((simulation.now_s, name))
    if len(seen) < 5000:
        simulation.after(rng.expovariate(1.0), step, name)
for name in sorted(names):
    simulation.at(0.0, step, name)
simulation.run()
print(hashlib.sha256(repr(seen).encode()).hexdigest())
"""


def test_equal_calls_give_equal_runs_in_any_process() -> None:
    traces = {
        subprocess.run(
            [sys.executable, "-c", TRACE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(traces) == 1
