"""A simulated replica: which suffixes run when, together or alone, and what becomes of them when it dies or drains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import CloudUnavailable, DeadlineExceeded, Draining, IsthmusError, Overloaded
from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup, BatchLimits
from partitioner.measurements import AffineTime
from partitioner.plan_table import Curve
from scheduler.estimators.load import REPORT_LIFETIME_S
from simulations.kernel import Simulation
from simulations.replica import SimulatedReplica, Suffix, SuffixRan
from simulations.replica_kind import PlanSuffix, ReplicaKind
from tests.simulations.cloud_plans import cloud_entry

GROUP = BatchGroup("net", "cut", "eager", ())
AFFINE = BatchTimes.of({size: 1.0 + 0.1 * size for size in (1, 2, 4, 8)})
PLAN = PlanSuffix(GROUP, AFFINE)
NEVER_HELD = BatchLimits(max_delay_s=0.0)


@dataclass
class Bench:
    """A replica, and what was said of each piece of work that it got: (what, when)."""

    limits: BatchLimits = NEVER_HELD
    queue: int = 256
    simulation: Simulation = field(default_factory=Simulation)
    said: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    ran: dict[str, SuffixRan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.replica = SimulatedReplica(self.simulation, ReplicaKind(self.limits, queue=self.queue))

    def suffix(
        self,
        name: str,
        factor: float = 1.0,
        deadline_s: float | None = None,
        plan: PlanSuffix = PLAN,
        priority: int = 0,
    ) -> Suffix:
        def ran(one: SuffixRan) -> None:
            self.ran[name] = one
            self.said.setdefault(name, []).append(("ran", self.simulation.now_s))

        def refused(error: IsthmusError) -> None:
            assert isinstance(error, DeadlineExceeded | Overloaded)
            self.said.setdefault(name, []).append(("refused", self.simulation.now_s))

        return Suffix(plan, factor, ran, refused, deadline_s, priority)

    def at(
        self, time_s: float, name: str, factor: float = 1.0, deadline_s: float | None = None, priority: int = 0
    ) -> None:
        self.simulation.at(time_s, self.replica.submit, self.suffix(name, factor, deadline_s, priority=priority))

    def refused_at(self, time_s: float, error: type[IsthmusError]) -> None:
        def submit() -> None:
            with pytest.raises(error):
                self.replica.submit(self.suffix("refused"))

        self.simulation.at(time_s, submit)

    def ends_s(self) -> dict[str, float]:
        self.simulation.run()
        return {name: when for name, [(what, when)] in self.said.items() if what == "ran"}


def test_work_that_comes_alone_takes_its_measured_time() -> None:
    bench = Bench()
    bench.at(1.0, "a", factor=2.0)
    assert bench.ends_s() == {"a": pytest.approx(1.0 + 2.2)}
    assert tuple(bench.ran["a"]) == pytest.approx((0.0, 2.2))


def test_what_came_while_the_engine_was_busy_runs_as_one_batch() -> None:
    bench = Bench()
    for name in "abcd":
        bench.at(1.0, name)
    first_s, all_s = 1.0 + AFFINE.at(1), 1.0 + AFFINE.at(1) + AFFINE.at(3)
    assert bench.ends_s() == pytest.approx({"a": first_s, "b": all_s, "c": all_s, "d": all_s})
    assert bench.ran["b"] == pytest.approx((all_s - 1.0 - AFFINE.at(1), AFFINE.at(1)))
    assert (bench.replica.batch_counts.batches, bench.replica.batch_counts.requests) == (2, 4)


def test_a_batch_takes_the_factor_of_its_most_urgent_member() -> None:
    bench = Bench()
    bench.at(1.0, "a")
    bench.at(1.1, "b", factor=5.0, deadline_s=90.0)
    bench.at(1.2, "c", factor=2.0, deadline_s=80.0)
    assert bench.ends_s()["b"] == pytest.approx(1.0 + AFFINE.at(1) + 2.0 * AFFINE.at(2))


def test_no_batch_is_larger_than_the_operator_allows() -> None:
    bench = Bench(BatchLimits(max_batch=2, max_delay_s=0.0))
    for name in "abcde":
        bench.at(1.0, name)
    assert sorted(bench.ends_s().values())[1:3] == pytest.approx([1.0 + AFFINE.at(1) + AFFINE.at(2)] * 2)
    assert bench.replica.batch_counts.batches == 3


def test_an_idle_engine_is_held_for_work_that_is_about_to_come() -> None:
    """Free at 2.1, with one that came at 2.099, after gaps that were short: another may come until 2.104, and does."""

    def ends_s(limits: BatchLimits) -> tuple[float, float]:
        bench = Bench(limits)
        bench.at(1.0, "runs")
        bench.at(1.2, "expires", deadline_s=1.5)
        bench.at(2.099, "a")
        bench.at(2.103, "b")
        ended = bench.ends_s()
        return ended["a"], ended["b"]

    assert ends_s(NEVER_HELD) == pytest.approx((3.2, 4.3))
    assert ends_s(BatchLimits(max_delay_s=0.005)) == pytest.approx((3.303, 3.303))


def test_what_is_held_for_others_in_vain_runs_when_the_hold_is_over() -> None:
    bench = Bench(BatchLimits(max_delay_s=0.005))
    bench.at(1.0, "runs")
    bench.at(1.2, "expires", deadline_s=1.5)
    bench.at(2.099, "a")
    assert bench.ends_s()["a"] == pytest.approx(2.104 + AFFINE.at(1))


def test_the_earliest_deadline_runs_first_and_what_is_too_late_does_not_run() -> None:
    bench = Bench(BatchLimits(max_batch=1))
    bench.at(1.0, "running")
    bench.at(1.1, "relaxed", deadline_s=50.0)
    bench.at(1.2, "urgent", deadline_s=5.0)
    bench.at(1.3, "too late", deadline_s=2.0)
    ends_s = bench.ends_s()
    [(what, when)] = bench.said["too late"]
    assert (what, round(when, 6)) == ("refused", 2.1)
    assert (ends_s["urgent"], ends_s["relaxed"]) == pytest.approx((3.2, 4.3))
    assert bench.replica.busy_s == pytest.approx(3.3)


def test_a_full_replica_turns_the_least_urgent_away_and_of_equals_the_newest() -> None:
    bench = Bench(BatchLimits(max_batch=1), queue=3)
    bench.at(1.0, "runs", priority=2)
    bench.at(1.1, "waits", priority=2)
    bench.at(1.2, "newest", priority=2)
    bench.refused_at(1.3, Overloaded)
    bench.at(1.4, "urgent", priority=1)
    free_s = list[float]()
    bench.simulation.at(1.5, lambda: free_s.append(bench.replica.free_s))
    assert list(bench.ends_s()) == ["runs", "urgent", "waits"]
    assert bench.said["newest"] == [("refused", 1.4)]
    assert free_s == [pytest.approx(1.0 + 3 * AFFINE.at(1))]


def test_what_nobody_wants_any_more_does_not_run_and_is_not_told() -> None:
    bench = Bench(BatchLimits(max_batch=1))
    simulation, replica = bench.simulation, bench.replica
    numbers = dict[str, int]()

    def submit(name: str) -> None:
        numbers[name] = replica.submit(bench.suffix(name))

    for name in ("runs", "waits", "stays"):
        simulation.at(1.0, submit, name)
    for name in ("waits", "runs"):
        simulation.at(1.5, lambda name=name: replica.withdraw(numbers[name]))
    assert bench.ends_s() == {"stays": pytest.approx(1.0 + 2 * 1.1)}
    replica.withdraw(numbers["stays"])
    assert replica.busy_s == pytest.approx(2.2)


def test_a_replica_that_dies_loses_what_it_has_and_works_again_when_it_is_back() -> None:
    bench = Bench()
    simulation, replica = bench.simulation, bench.replica
    for name in ("running", "waiting"):
        bench.at(1.0, name)
    simulation.at(1.5, replica.fail)
    bench.refused_at(1.6, CloudUnavailable)
    simulation.at(3.0, replica.recover)
    bench.at(4.0, "after")
    assert bench.ends_s() == {"after": pytest.approx(5.1)}
    assert replica.busy_s == pytest.approx(0.5 + 1.1)


def test_of_each_run_it_was_busy_for_what_falls_into_the_time_that_counts() -> None:
    bench = Bench()
    bench.replica = SimulatedReplica(bench.simulation, ReplicaKind(NEVER_HELD), counted_s=(1.5, 4.0))
    bench.at(1.0, "before it begins")
    bench.at(3.5, "when it ends")
    bench.simulation.run(3.7)
    assert bench.replica.busy_s == pytest.approx(0.6 + 0.2)
    bench.simulation.run()
    assert bench.replica.busy_s == pytest.approx(0.6 + 0.5)


def test_a_replica_that_drains_answers_what_it_has_and_takes_nothing_new() -> None:
    bench, gone_s = Bench(), list[float]()
    simulation, replica = bench.simulation, bench.replica
    bench.at(1.0, "a")
    bench.at(1.0, "b")
    simulation.at(1.5, replica.drain, lambda: gone_s.append(simulation.now_s))
    bench.refused_at(1.6, Draining)
    ends_s = bench.ends_s()
    assert set(ends_s) == {"a", "b"}
    assert gone_s == [ends_s["b"]]
    assert not replica.up
    assert not replica.recover()


def test_work_beyond_what_may_wait_is_refused_and_counts_as_offered() -> None:
    bench = Bench(queue=2)
    replica = bench.replica
    for name in "ab":
        replica.submit(bench.suffix(name))
    with pytest.raises(Overloaded, match=r"cloud\.limits\.queue"):
        replica.submit(bench.suffix("c"))
    assert replica.offered_s == pytest.approx(3 * AFFINE.at(8) / 8)


@pytest.mark.parametrize(("per_item_s", "batched"), [(0.01, True), (1.9, False)], ids=["mostly fixed", "nothing fixed"])
def test_a_plan_is_batched_where_two_at_once_save_enough(per_item_s: float, *, batched: bool) -> None:
    entry = cloud_entry(AffineTime(0.1, per_item_s))
    times = ReplicaKind(BatchLimits(max_batch=6)).suffix(entry).times
    assert [size for size, _ in times.seconds] == ([1, 2, 4, 6] if batched else [1])
    assert times.at(3) == pytest.approx(0.1 + 3 * per_item_s if batched else 3 * (0.1 + per_item_s))


def test_a_batch_takes_what_was_measured_of_its_suffix_and_the_codecs_of_each() -> None:
    """Two for free and no more, of which no line knows; decoding and encoding take 10 ms each."""
    measured = ((1, 0.10), (2, 0.10), (4, 0.20), (8, 0.40))
    entry = cloud_entry(AffineTime(0.05, 0.06), measured)
    times = ReplicaKind(BatchLimits(max_batch=4)).suffix(entry).times
    assert dict(times.seconds) == pytest.approx({1: 0.11, 2: 0.12, 4: 0.24})
    bench = Bench(BatchLimits(max_batch=4, max_delay_s=0.0))
    for name in "abc":
        bench.simulation.at(1.0, bench.replica.submit, bench.suffix(name, plan=PlanSuffix(GROUP, times)))
    assert bench.ends_s() == pytest.approx({"a": 1.11, "b": 1.23, "c": 1.23})


@pytest.mark.parametrize("measured", [((1, 0.10), (2, 0.20), (4, 0.20)), ((1, 0.10),)], ids=["no gain", "not joined"])
def test_a_suffix_of_which_two_at_once_were_measured_to_save_nothing_is_not_batched(measured: Curve) -> None:
    entry = cloud_entry(AffineTime(0.09, 0.01), measured)
    assert dict(ReplicaKind().suffix(entry).times.seconds) == pytest.approx({1: 0.10})


def test_a_replica_twice_as_fast_takes_half_as_long() -> None:
    entry = cloud_entry(AffineTime(0.1, 0.01))
    slow, fast = (ReplicaKind(speed=speed).suffix(entry) for speed in (1.0, 2.0))
    assert fast.times.at(4) == pytest.approx(slow.times.at(4) / 2)
    assert fast.group == slow.group


WORK = st.tuples(
    st.floats(0.0, 2.0),  # after the one before
    st.floats(0.1, 3.0),  # factor
    st.sampled_from([None, 1.0, 4.0, 30.0]),  # time until the deadline
    st.integers(0, 2),  # priority
    st.integers(0, 1),  # group
)
PLANS = (PLAN, PlanSuffix(BatchGroup("net", "other", "eager", ()), BatchTimes.of({1: 0.7})))


EVENTS = st.lists(st.tuples(st.floats(0.0, 40.0), st.sampled_from(["fail", "withdraw"])), max_size=4)


@given(works=st.lists(WORK, min_size=1, max_size=25), events=EVENTS)
def test_every_piece_of_work_ends_once_whatever_happens(
    works: list[tuple[float, float, float | None, int, int]], events: list[tuple[float, str]]
) -> None:
    def outcome() -> tuple[dict[str, list[tuple[str, float]]], float]:
        bench = Bench(BatchLimits(max_batch=4, max_delay_s=0.005))
        simulation, replica = bench.simulation, bench.replica
        waiting = dict[str, int]()

        def end(name: str, what: str) -> None:
            bench.said.setdefault(name, []).append((what, simulation.now_s))

        def submit(name: str, factor: float, deadline_s: float | None, priority: int, group: int) -> None:
            try:
                waiting[name] = replica.submit(bench.suffix(name, factor, deadline_s, PLANS[group], priority))
            except CloudUnavailable:
                end(name, "down")

        def fail() -> None:
            if replica.up:
                replica.fail()
                for name in waiting.keys() - bench.said.keys():
                    end(name, "lost")
                simulation.after(2.0, replica.recover)

        def withdraw() -> None:
            for name in sorted(waiting.keys() - bench.said.keys())[:1]:
                replica.withdraw(waiting[name])
                end(name, "withdrawn")

        now_s = 0.0
        for number, (gap_s, factor, timeout_s, priority, group) in enumerate(works):
            now_s += gap_s
            deadline_s = None if timeout_s is None else now_s + timeout_s
            simulation.at(now_s, submit, f"{number:02}", factor, deadline_s, priority, group)
        for time_s, what in events:
            simulation.at(time_s, fail if what == "fail" else withdraw)
        simulation.run()
        assert replica.requests == 0
        assert replica.free_s == simulation.now_s
        return bench.said, replica.busy_s

    said, busy_s = outcome()
    assert sorted(said) == [f"{number:02}" for number in range(len(works))]
    assert all(len(one) == 1 for one in said.values())
    assert outcome() == (said, busy_s)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.01, 2.0)), min_size=1, max_size=30))
def test_work_that_runs_alone_keeps_its_order_and_the_engine_is_never_idle_while_it_waits(
    works: list[tuple[float, float]],
) -> None:
    """Against Lindley's recursion: each begins when it comes or the one before has ended."""
    bench = Bench(BatchLimits(max_batch=1))
    now_s = end_s = 0.0
    expected = {}
    for number, (gap_s, factor) in enumerate(works):
        now_s += gap_s
        bench.at(now_s, str(number), factor)
        end_s = expected[str(number)] = max(now_s, end_s) + factor * AFFINE.at(1)
    assert bench.ends_s() == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.01, 2.0), st.floats(100.0, 300.0)), min_size=1, max_size=30))
def test_whatever_the_order_the_engine_is_busy_at_the_same_times(works: list[tuple[float, float, float]]) -> None:
    """Deadlines change who goes first, and not when there is work: the last end of each busy period is the same."""

    def busy_ends(make: Callable[[float], float | None]) -> list[float]:
        bench, now_s = Bench(BatchLimits(max_batch=1)), 0.0
        for number, (gap_s, factor, deadline_s) in enumerate(works):
            now_s += gap_s
            bench.at(now_s, str(number), factor, make(deadline_s))
        ends_s = sorted(bench.ends_s().values())
        assert len(ends_s) == len(works)
        return [ends_s[-1], bench.replica.busy_s]

    assert busy_ends(lambda _: None) == pytest.approx(busy_ends(lambda deadline_s: deadline_s))


AFTER_S = st.sampled_from([0.1001, 2.0001, 4.9001])


@settings(max_examples=40)
@given(
    arrivals=st.lists(st.tuples(st.floats(0.0, 0.4), st.floats(0.1, 2.0)), min_size=1, max_size=20),
    asked=st.lists(st.tuples(AFTER_S, st.floats(0.0, 1.5), st.integers(0, 15)), min_size=1, max_size=5),
)
def test_a_report_says_what_the_load_was_when_it_was_made_and_none_says_of_idleness_again(
    arrivals: list[tuple[float, float]], asked: list[tuple[float, float, int]]
) -> None:
    bench, now_s = Bench(), 0.0
    simulation, replica = bench.simulation, bench.replica
    seen = dict[int, tuple[int, float]]()
    step_s = 0.5 / 16
    for step in range(480):
        simulation.at(step * step_s, lambda step=step: seen.setdefault(step, (replica.requests, replica.queued_s)))

    def check(delay_s: float, phase: int) -> None:
        moment_s = simulation.now_s - delay_s
        made, last = None, (0, 0.0)
        for step in range(phase, math.floor(moment_s / step_s) + 1, 16):
            if seen[step] != last or seen[step][1] > 0:
                made, last = step, seen[step]
        said = replica.history.reported(moment_s, phase)
        if made is None or moment_s - made * step_s > REPORT_LIFETIME_S:
            assert said is None
        else:
            assert said == pytest.approx((made * step_s, last[1]), abs=1e-9)

    for number, (gap_s, factor) in enumerate(arrivals):
        now_s += gap_s + 1e-6 * math.pi  # off the grid: what happens at one moment has an order
        bench.at(now_s, str(number), factor)
        for after_s, delay_s, phase in asked:
            simulation.at(now_s + after_s, check, delay_s, phase)
    simulation.run()
