"""One simulated edge's compute: what runs when, and how long it is believed to wait."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup, BatchLimits, WaitingRequest
from scheduler.estimators.load import EdgeQueueEstimator
from simulations.busy_time import BusyTime
from simulations.edge_worker import UNBATCHED, EdgeWorker
from simulations.kernel import Simulation

GROUP = BatchGroup("net", "cut", "eager", ())


@dataclass
class Bench:
    """A worker whose work tells when it ended."""

    simulation: Simulation = field(default_factory=Simulation)
    busy: BusyTime = field(default_factory=BusyTime)
    batching: BatchLimits = UNBATCHED
    ended: dict[int, float] = field(default_factory=dict)
    own_s: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.worker = EdgeWorker(self.simulation, EdgeQueueEstimator(), self.busy, self.batching)

    def waiting(
        self, number: int, deadline_s: float | None = None, priority: int = 0, expected_s: float = 1.0
    ) -> WaitingRequest:
        times = BatchTimes.of({1: expected_s})
        return WaitingRequest(number, GROUP, 1, times, self.simulation.now_s, deadline_s, priority)

    def prefix(self, number: int, seconds: float = 1.0, deadline_s: float | None = None, priority: int = 0) -> None:
        waiting = self.waiting(number, deadline_s, priority)
        self.worker.submit_piece(waiting, seconds, lambda own_s: self.end(number, own_s))

    def batched(self, number: int, seconds: float, times: BatchTimes, deadline_s: float | None = None) -> None:
        """A prefix that may run with others, and takes so many seconds by itself."""
        waiting = WaitingRequest(number, GROUP, 1, times, self.simulation.now_s, deadline_s)
        self.worker.submit_piece(waiting, seconds, lambda own_s: self.end(number, own_s))

    def job(self, number: int, seconds: float = 1.0, expected_s: float = 1.0) -> None:
        self.worker.submit(number, expected_s, seconds, lambda: self.end(number))

    def end(self, number: int, own_s: float = 0.0) -> None:
        assert number not in self.ended
        self.own_s[number] = own_s
        self.ended[number] = self.simulation.now_s

    def order(self) -> list[int]:
        self.simulation.run()
        return list(self.ended)


def test_prefixes_go_by_deadline_then_priority_then_age() -> None:
    bench = Bench()
    bench.prefix(1)
    bench.prefix(2)
    bench.prefix(3, priority=1)
    bench.prefix(4, deadline_s=90.0)
    bench.prefix(5, deadline_s=80.0)
    bench.prefix(6, deadline_s=80.0, priority=1)
    assert bench.order() == [1, 6, 5, 4, 3, 2]


def test_between_two_prefixes_jobs_have_their_turn_first_come_first_served() -> None:
    bench = Bench()
    for number in (1, 2, 3):
        bench.prefix(number, deadline_s=50.0)
    bench.job(11)
    bench.job(12)
    bench.simulation.at(1.5, bench.job, 13)
    assert bench.order() == [1, 11, 12, 2, 13, 3]


def test_pieces_go_by_when_they_are_due_and_not_by_when_they_came() -> None:
    bench = Bench()
    for number, due_s in ((1, 90.0), (2, math.inf), (3, 80.0), (4, None), (5, 60.0)):
        waiting = bench.waiting(number, deadline_s=70.0)._replace(due_s=due_s)
        bench.worker.submit_piece(waiting, 1.0, partial(bench.end, number))
    assert bench.order() == [1, 5, 4, 3, 2]


def test_the_next_piece_has_begun_when_somebody_hears_of_the_end_of_the_last() -> None:
    bench = Bench()

    def more(own_s: float) -> None:
        bench.end(1, own_s)
        bench.prefix(3, deadline_s=10.0)

    bench.worker.submit_piece(bench.waiting(1), 1.0, more)
    bench.prefix(2, deadline_s=20.0)
    assert bench.order() == [1, 2, 3]


def test_what_is_withdrawn_is_not_begun_and_what_runs_goes_on_for_nobody() -> None:
    bench = Bench()
    bench.prefix(1, 2.0)
    bench.prefix(2)
    bench.job(3)
    bench.prefix(4)
    bench.simulation.run(1.0)
    for number in (1, 2, 3, 9):
        bench.worker.withdraw(number)
    bench.simulation.run()
    assert bench.ended == {4: 3.0}
    assert bench.busy.seconds == 3.0


def test_the_wait_is_that_of_prefixes_by_their_pace_and_of_jobs_as_predicted() -> None:
    bench = Bench()
    bench.prefix(1, 3.0)
    bench.prefix(2, 3.0)
    assert bench.worker.wait_s(0.5) == pytest.approx(0.5 + 1.0)  # nobody knows what they take
    bench.simulation.run(3.0 - 1e-9)
    bench.job(3, 9.0, expected_s=2.0)
    bench.simulation.run(3.0 + 1e-9)
    pace = 1.0 + 0.2 * (3.0 / 1.0 - 1.0)
    assert bench.worker.wait_s(3.0) == pytest.approx(pace + 2.0)


CURVE = BatchTimes.of({1: 1.0, 2: 1.1, 4: 1.3})


def test_prefixes_that_wait_run_as_one_in_the_measured_time_of_their_batch() -> None:
    bench = Bench(batching=BatchLimits(max_batch=4, max_delay_s=0.0))
    bench.batched(1, 1.0, CURVE)
    for number in (2, 3, 4):
        bench.batched(number, 2.0, CURVE)  # twice what was measured
    bench.job(11, 0.5)
    bench.simulation.run()
    assert bench.ended == pytest.approx({1: 1.0, 11: 1.5, 2: 1.5 + 2.4, 3: 1.5 + 2.4, 4: 1.5 + 2.4})
    assert bench.own_s == pytest.approx({1: 1.0, 11: 0.0, 2: 2.0, 3: 2.0, 4: 2.0})
    assert bench.busy.seconds == pytest.approx(1.0 + 0.5 + 2.4)


def test_of_a_batch_that_runs_one_may_be_withdrawn_and_the_others_end() -> None:
    bench = Bench(batching=BatchLimits(max_batch=4, max_delay_s=0.0))
    for number in (1, 2, 3):
        bench.batched(number, 1.0, CURVE)
    bench.simulation.at(1.5, bench.worker.withdraw, 2)
    bench.simulation.run()
    assert bench.ended == pytest.approx({1: 1.0, 3: 2.1})


@pytest.mark.parametrize(("comes_s", "ends_s"), [(1.002, 2.102), (1.006, 2.004)], ids=["it comes", "in vain"])
def test_an_idle_edge_is_held_for_a_prefix_that_is_about_to_come(comes_s: float, ends_s: float) -> None:
    """Free at 1.0, with one that came at 0.999 after gaps that were short: another may come until 1.004."""
    bench = Bench(batching=BatchLimits(max_batch=4, max_delay_s=0.005))
    bench.batched(1, 1.0, CURVE)
    bench.simulation.at(0.2, bench.batched, 2, 1.0, CURVE)
    bench.simulation.at(0.3, bench.worker.withdraw, 2)
    bench.simulation.at(0.999, bench.batched, 3, 1.0, CURVE)
    bench.simulation.at(comes_s, bench.batched, 4, 1.0, CURVE)
    bench.simulation.run()
    assert bench.ended[3] == pytest.approx(ends_s)
    assert (bench.ended[4] == bench.ended[3]) == (comes_s < ends_s - 1.0)


pieces = st.lists(
    st.tuples(
        st.floats(0.0, 6.0),
        st.sampled_from(["prefix", "job"]),
        st.floats(0.0, 2.0),
        st.floats(40.0, 60.0),
        st.booleans(),
    ),
    max_size=12,
)


@example([(0.0, "job", 2.0, 50.0, False), (0.1, "prefix", 1.0, 50.0, False), (0.2, "job", 1.0, 50.0, False)], 1.0, 45.0)
@given(pieces, st.floats(0.0, 6.0), st.floats(40.0, 60.0))
def test_it_is_known_when_a_prefix_begins_that_comes_now_if_nothing_else_does(
    work: list[tuple[float, str, float, float, bool]], now_s: float, deadline_s: float
) -> None:
    bench = Bench()
    for number, (at_s, kind, seconds, due_s, withdrawn) in enumerate(work):
        if at_s <= now_s and kind == "prefix":
            bench.simulation.at(at_s, bench.prefix, number, seconds, due_s)
        elif at_s <= now_s:
            bench.simulation.at(at_s, bench.job, number, seconds)
        if withdrawn:
            bench.simulation.at((at_s + now_s) / 2, bench.worker.withdraw, number)
    bench.simulation.at(now_s, lambda: None)
    bench.simulation.run(math.nextafter(now_s, math.inf))
    begins_s = bench.worker.free_s(bench.waiting(99, deadline_s), bench.simulation.now_s)
    bench.prefix(99, 0.5, deadline_s)
    bench.simulation.run()
    assert bench.ended[99] - 0.5 == pytest.approx(begins_s)
    wanted = {number for number, (at_s, *_, withdrawn) in enumerate(work) if at_s <= now_s and not withdrawn}
    assert wanted <= bench.ended.keys()


def test_an_edge_is_idle_when_nothing_waits_or_runs_wanted_or_not() -> None:
    bench = Bench()
    assert bench.worker.idle
    bench.job(1)
    bench.job(2)
    bench.worker.withdraw(1)
    bench.worker.withdraw(2)  # what runs goes on to its end, though nobody wants it
    assert not bench.worker.idle
    bench.simulation.run()
    assert bench.worker.idle
    bench.prefix(3)
    assert not bench.worker.idle
