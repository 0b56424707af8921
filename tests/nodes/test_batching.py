"""Which waiting requests run next: order, size, hold, and what must hold whatever comes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration
from nodes.batch_times import BatchTimes
from nodes.batching import (
    DEFAULT_LIMITS,
    Batcher,
    BatchGroup,
    BatchLimits,
    Decision,
    Hold,
    NothingWaits,
    Start,
    WaitingRequest,
)
from nodes.engine_queue import EngineQueue

FLAT = BatchTimes.of({1: 0.010, 8: 0.011})  # a GPU: nearly all of it is fixed
LINEAR = BatchTimes.of({1: 0.010, 8: 0.080})  # a CPU: nothing is
GROUPS = tuple(BatchGroup("model", cut, "eager", ()) for cut in ("early", "late"))


def request(
    number: int,
    arrived_s: float = 0.0,
    *,
    times: BatchTimes = FLAT,
    items: int = 1,
    deadline_s: float | None = None,
    priority: int = 0,
    group: BatchGroup = GROUPS[0],
    rest_s: float = 0.0,
) -> WaitingRequest:
    return WaitingRequest(number, group, items, times, arrived_s, deadline_s, priority, rest_s=rest_s)


def batcher(*requests: WaitingRequest, limits: BatchLimits = DEFAULT_LIMITS) -> Batcher:
    made = Batcher(limits)
    for one in requests:
        made.add(one)
    return made


def started(decision: Decision) -> list[int]:
    assert isinstance(decision, Start), decision
    return [member.request_id for member in decision.members]


# ---- room --------------------------------------------------------------------------------------------------------

urgencies = st.tuples(st.none() | st.floats(0.0, 2.0), st.integers(0, 3), st.sampled_from(GROUPS))


@given(waiting=st.lists(urgencies, max_size=12), comes=urgencies)
def test_in_a_full_queue_what_would_run_last_makes_way_for_what_is_more_urgent(
    waiting: list[tuple[float | None, int, BatchGroup]], comes: tuple[float | None, int, BatchGroup]
) -> None:
    queue = EngineQueue(DEFAULT_LIMITS)
    for number, (deadline_s, priority, group) in enumerate(waiting, start=1):
        queue.add(request(number, number / 100, deadline_s=deadline_s, priority=priority, group=group))
    newest = request(0, 1.0, deadline_s=comes[0], priority=comes[1], group=comes[2])
    gone = queue.make_way(newest)

    def order(one: tuple[float | None, int, BatchGroup]) -> tuple[float, float]:
        return (math.inf if one[0] is None else one[0], one[1] or math.inf)

    if not waiting or max(map(order, waiting)) <= order(comes):
        assert (gone, queue.waiting) == (None, len(waiting))
    else:
        last = max(range(len(waiting)), key=lambda place: (order(waiting[place]), place))
        assert gone is not None
        assert (gone.request_id, queue.waiting) == (last + 1, len(waiting) - 1)


# ---- size --------------------------------------------------------------------------------------------------------


def test_what_waits_runs_as_one_where_most_of_the_time_is_fixed() -> None:
    waiting = batcher(*(request(number) for number in range(5)), limits=BatchLimits(max_delay_s=0.0))
    assert started(waiting.next(0.0)) == [0, 1, 2, 3, 4]


def test_what_waits_runs_alone_where_a_batch_gains_nothing() -> None:
    waiting = batcher(*(request(number, times=LINEAR) for number in range(100)))
    assert started(waiting.next(0.0)) == [0]


def test_a_small_gain_is_taken_only_where_many_wait() -> None:
    times = BatchTimes.of({1: 0.010, 2: 0.019})
    assert started(batcher(*(request(n, times=times) for n in range(2))).next(0.0)) == [0]
    assert started(batcher(*(request(n, times=times) for n in range(60))).next(0.0)) == [0, 1]


def test_a_batch_larger_than_the_limit_runs_by_itself() -> None:
    waiting = batcher(request(1, items=20), request(2))
    assert started(waiting.next(0.0)) == [1]


def test_no_batch_is_larger_than_what_was_measured() -> None:
    times = BatchTimes.of({1: 0.01, 2: 0.01})
    assert started(batcher(*(request(n, times=times) for n in range(5))).next(0.0)) == [0, 1]


def test_nobody_joins_who_would_make_a_member_late() -> None:
    times = BatchTimes.of({1: 0.010, 2: 0.012, 3: 0.014})
    waiting = batcher(request(1, times=times, deadline_s=0.0125), request(2, times=times), request(3, times=times))
    assert started(waiting.next(0.0)) == [1, 2]


def test_one_that_cannot_be_in_time_any_more_holds_no_one_back() -> None:
    waiting = batcher(request(1, deadline_s=0.001), request(2), limits=BatchLimits(max_delay_s=0.0))
    assert started(waiting.next(0.0)) == [1, 2]


comings = st.tuples(st.integers(1, 4), st.sampled_from(GROUPS), st.none() | st.floats(0.0, 1.0), st.integers(0, 2))


@given(steps=st.lists(st.sampled_from(["next", "withdraw", "expire"]) | comings, max_size=40))
def test_the_work_said_is_that_of_what_waits_whatever_came_and_went(
    steps: list[str | tuple[int, BatchGroup, float | None, int]],
) -> None:
    waiting, here = Batcher(BatchLimits(max_batch=8, max_delay_s=0.0)), dict[int, WaitingRequest]()
    for number, step in enumerate(steps):
        now_s = number / 10
        if step == "next":
            decision = waiting.next(now_s)
            assert isinstance(decision, Start) == bool(here)
            for member in decision.members if isinstance(decision, Start) else ():
                del here[member.request_id]
        elif step == "expire":
            late = {one for one, it in here.items() if it.deadline_s is not None and it.deadline_s <= now_s}
            assert {one.request_id for one in waiting.drop_expired(now_s)} == late
            here = {one: it for one, it in here.items() if one not in late}
        elif isinstance(step, str):
            gone = min(here, default=-1)
            assert waiting.withdraw(gone) == (here.pop(gone, None) is not None)
        else:
            items, group, deadline_s, priority = step
            here[number] = request(number, now_s, items=items, group=group, deadline_s=deadline_s, priority=priority)
            waiting.add(here[number])
        assert waiting.work_s() == math.fsum(plain_work_s(list(here.values()), group) for group in GROUPS)
        assert waiting.least_urgent() == max(here.values(), key=lambda one: one.urgency, default=None)


def plain_work_s(here: list[WaitingRequest], group: BatchGroup) -> float:
    """Of one group, in batches of the size that serves all of it best."""
    items = sum(one.items for one in here if one.group == group)
    if not items:
        return 0.0
    size = min(range(1, min(items, 8) + 1), key=lambda size: FLAT.at(size) * (items / size + 1))
    rounds, rest = divmod(items, size)
    return rounds * FLAT.at(size) + (FLAT.at(rest) if rest else 0.0)


# ---- order -------------------------------------------------------------------------------------------------------


def test_deadline_then_priority_then_age_decide_who_leads() -> None:
    limits = BatchLimits(max_batch=1)
    waiting = batcher(
        request(1, 0.1, priority=5), request(2, 0.0, priority=5), request(3, 0.2, priority=1),
        request(4, 0.3, priority=9, deadline_s=9.0), request(5, 0.4, priority=9, deadline_s=5.0), limits=limits,
    )  # fmt: skip
    assert [started(waiting.next(1.0))[0] for _ in range(5)] == [5, 4, 3, 2, 1]


def test_another_group_waits_for_its_turn() -> None:
    waiting = batcher(request(1), request(2, group=GROUPS[1]), request(3))
    assert started(waiting.next(0.0)) == [1, 3]
    assert started(waiting.next(0.0)) == [2]


# ---- hold --------------------------------------------------------------------------------------------------------


def test_a_request_on_an_idle_engine_starts_at_once_while_nothing_is_known_of_arrivals() -> None:
    assert started(batcher(request(1)).next(0.0)) == [1]


def held_after(
    gap_s: float, limits: BatchLimits, times: BatchTimes, deadline_s: float | None = None, rest_s: float = 0.0
) -> Decision:
    """What a batcher does with one request after ten that came alone, `gap_s` apart."""
    waiting = batcher(limits=limits)
    for number in range(10):
        waiting.add(request(number, number * gap_s, times=times))
        waiting.withdraw(number)
    now_s = 10 * gap_s
    ends_s = None if deadline_s is None else now_s + deadline_s
    waiting.add(request(10, now_s, times=times, deadline_s=ends_s, rest_s=rest_s))
    return waiting.next(now_s)


def test_an_engine_is_held_where_the_next_request_is_expected_soon_and_saves_more_than_it_costs() -> None:
    decision = held_after(0.001, BatchLimits(), FLAT)
    # worth: t(1) / 2 - (t(2) - t(1)) = 5 ms - 1/7 ms after the last arrival at 10 ms
    assert isinstance(decision, Hold)
    assert decision.until_s == pytest.approx(0.010 + 0.005 - 0.001 / 7)


def test_no_engine_is_held_where_requests_are_rare_or_a_batch_gains_nothing_or_it_is_forbidden() -> None:
    assert started(held_after(0.006, BatchLimits(), FLAT)) == [10]
    assert started(held_after(0.0, BatchLimits(), LINEAR)) == [10]
    assert started(held_after(0.001, BatchLimits(max_delay_s=0.0), FLAT)) == [10]
    assert started(held_after(0.001, BatchLimits(max_batch=1), FLAT)) == [10]


def test_a_night_without_requests_is_no_reason_against_holding_in_the_morning() -> None:
    waiting = batcher()
    arrivals_s = [number * 0.001 for number in range(10)] + [36_000 + number * 0.001 for number in range(4)]
    for number, arrived_s in enumerate(arrivals_s):
        waiting.add(request(number, arrived_s))
        waiting.withdraw(number)
    waiting.add(request(99, 36_000.004))
    assert isinstance(waiting.next(36_000.004), Hold)


def test_a_hold_ends_with_the_longest_delay_and_before_the_latest_start() -> None:
    delayed = held_after(0.001, BatchLimits(max_delay_s=0.002), FLAT)
    assert isinstance(delayed, Hold)
    assert delayed.until_s == pytest.approx(0.012)
    urgent = held_after(0.001, BatchLimits(), FLAT, deadline_s=0.0135)
    assert isinstance(urgent, Hold)
    assert urgent.until_s == pytest.approx(0.010 + 0.0135 - 0.010 - 0.001)  # t(1) before it, and a timer's lateness
    assert started(held_after(0.001, BatchLimits(), FLAT, deadline_s=0.0105)) == [10]
    followed = held_after(0.001, BatchLimits(), FLAT, deadline_s=0.1135, rest_s=0.1)
    assert isinstance(followed, Hold)
    assert followed.until_s == pytest.approx(urgent.until_s)


def test_an_engine_with_other_work_is_not_held() -> None:
    waiting = batcher()
    for number in range(10):
        waiting.add(request(number, number * 0.001))
        waiting.withdraw(number)
    waiting.add(request(10, 0.010))
    waiting.add(request(11, 0.010, group=GROUPS[1]))
    assert started(waiting.next(0.010)) == [10]


# ---- leaving, load, values ---------------------------------------------------------------------------------------


def test_what_was_withdrawn_or_has_expired_does_not_run() -> None:
    waiting = batcher(request(1), request(2, deadline_s=1.0), request(3, deadline_s=1.1))
    assert waiting.withdraw(1)
    assert not waiting.withdraw(1)
    assert [late.request_id for late in waiting.drop_expired(1.0)] == [2]
    assert started(waiting.next(1.0)) == [3]
    assert isinstance(waiting.next(1.0), NothingWaits)


def test_the_work_that_waits_is_counted_in_the_batches_it_will_run_in() -> None:
    assert batcher(*(request(number) for number in range(16))).work_s() == pytest.approx(2 * 0.011)
    assert batcher(*(request(number, times=LINEAR) for number in range(16))).work_s() == pytest.approx(0.160)
    assert batcher().work_s() == 0.0


def test_times_are_read_between_and_beyond_what_was_measured() -> None:
    times = BatchTimes.of({1: 1.0, 2: 1.5, 8: 3.0})
    assert [times.at(n) for n in (1, 2, 5, 8, 16)] == [1.0, 1.5, 2.25, 3.0, 6.0]


@pytest.mark.parametrize("limits", [{"max_batch": 0}, {"max_batch": 2000}, {"max_delay_s": -1}, {"max_delay_s": 2}])
def test_limits_that_cannot_be_are_refused_by_name(limits: dict[str, float]) -> None:
    with pytest.raises(InvalidConfiguration, match=next(iter(limits)).removesuffix("_s")):
        BatchLimits(**limits)  # type: ignore[arg-type]


# ---- whatever comes ----------------------------------------------------------------------------------------------


@dataclass
class Server:
    """One engine on a clock of its own: what it started when, and every promise of a hold."""

    waiting: Batcher
    starts: list[tuple[float, Start]] = field(default_factory=list)
    expired: list[int] = field(default_factory=list)
    holds: list[tuple[float, float, tuple[WaitingRequest, ...]]] = field(default_factory=list)

    def serve(self, arrivals: list[WaitingRequest]) -> None:
        now_s, coming, here = 0.0, sorted(arrivals, key=lambda one: one.arrived_s), dict[int, WaitingRequest]()
        while coming or here:
            while coming and coming[0].arrived_s <= now_s:
                here[coming[0].request_id] = coming[0]
                self.waiting.add(coming.pop(0))
            for late in self.waiting.drop_expired(now_s):
                self.expired.append(late.request_id)
                del here[late.request_id]
            soon_s = coming[0].arrived_s if coming else math.inf
            match self.waiting.next(now_s):
                case Start() as start:
                    self.starts.append((now_s, start))
                    assert min(here.values(), key=lambda one: one.urgency) in start.members
                    for member in start.members:
                        del here[member.request_id]
                    now_s += start.expected_s
                case Hold(until_s):
                    self.holds.append((now_s, until_s, tuple(here.values())))
                    now_s = min(until_s, soon_s)
                case _:
                    assert not here
                    now_s = soon_s


@st.composite
def laws(draw: st.DrawFn) -> BatchTimes:
    fixed, per_item = draw(st.sampled_from((0.0, 0.002, 0.02))), draw(st.sampled_from((0.0005, 0.003)))
    return BatchTimes.of({size: fixed + per_item * size for size in (1, 2, 4, 8)})


@st.composite
def traffic(draw: st.DrawFn) -> list[WaitingRequest]:
    by_group = [draw(laws()), draw(laws())]
    made, now_s = [], 0.0
    for number in range(draw(st.integers(1, 40))):
        now_s += draw(st.sampled_from((0.0, 0.0003, 0.001, 0.004, 0.05)))
        which = draw(st.integers(0, 1))
        remaining_s = draw(st.sampled_from((None, 0.002, 0.008, 0.03, 1.0)))
        made.append(
            request(
                number, now_s, times=by_group[which], items=draw(st.sampled_from((1, 1, 1, 2, 12))),
                deadline_s=None if remaining_s is None else now_s + remaining_s,
                priority=draw(st.integers(0, 2)), group=GROUPS[which], rest_s=draw(st.sampled_from((0.0, 0.0, 0.004))),
            )
        )  # fmt: skip
    return made


limits = st.builds(BatchLimits, st.sampled_from((1, 3, 8, 100)), st.sampled_from((0.0, 0.001, 0.005, 1.0)))


@given(traffic(), limits)
def test_every_request_starts_once_or_expires_once(arrivals: list[WaitingRequest], allowed: BatchLimits) -> None:
    server = Server(Batcher(allowed))
    server.serve(arrivals)
    ran = [member.request_id for _, start in server.starts for member in start.members]
    assert sorted(ran + server.expired) == [one.request_id for one in arrivals]
    assert len(server.waiting) == 0


@given(traffic(), limits)
def test_a_batch_keeps_the_limit_its_group_and_the_order(arrivals: list[WaitingRequest], allowed: BatchLimits) -> None:
    server = Server(Batcher(allowed))
    server.serve(arrivals)
    for _, start in server.starts:
        items = sum(member.items for member in start.members)
        assert items <= min(allowed.max_batch, start.members[0].times.largest) or len(start.members) == 1
        assert len({member.group for member in start.members}) == 1
        assert all(one.urgency <= other.urgency for one, other in pairwise(start.members))


@given(traffic(), limits)
def test_no_request_is_held_past_its_latest_start_or_the_longest_delay(
    arrivals: list[WaitingRequest], allowed: BatchLimits
) -> None:
    server = Server(Batcher(allowed))
    server.serve(arrivals)
    for now_s, until_s, here in server.holds:
        assert until_s > now_s
        size = sum(one.items for one in here)
        for one in here:
            assert until_s <= one.arrived_s + allowed.max_delay_s
            assert until_s + one.times.at(size) <= one.ends_by_s


@given(traffic(), limits)
def test_no_member_misses_for_its_companions_a_deadline_that_it_would_have_met(
    arrivals: list[WaitingRequest], allowed: BatchLimits
) -> None:
    server = Server(Batcher(allowed))
    server.serve(arrivals)
    for now_s, start in server.starts:
        for member in start.members:
            for end_s in (member.ends_by_s, math.inf if member.deadline_s is None else member.deadline_s):
                if now_s + member.times.at(member.items) <= end_s:
                    assert now_s + start.expected_s <= end_s


@given(traffic(), limits)
def test_the_engine_never_idles_beside_work_where_a_batch_gains_nothing(
    arrivals: list[WaitingRequest], allowed: BatchLimits
) -> None:
    linear = [request(one.request_id, one.arrived_s, times=LINEAR, deadline_s=one.deadline_s) for one in arrivals]
    server = Server(Batcher(allowed))
    server.serve(linear)
    assert not server.holds
    assert all(len(start.members) == 1 for _, start in server.starts)
