"""Who is let in: bounds, order, and one outcome for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import DeadlineUnreachable, Overloaded, Shed
from nodes.admission import AdmissionCounts, Arriving, EdgeWork
from scheduler.admission.control import AdmissionControl


def asks(client: str = "a", priority: int = 0, deadline_s: float | None = None, **facts: Any) -> Arriving:
    return replace(Arriving(client, priority, deadline_s, 1.0), **facts)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from("abc"), st.integers(0, 2), st.sampled_from([None, 0.5, 3.0])),
        st.tuples(st.sampled_from(["place", "crowd out", "prefix", "end", "leave"]), st.integers(0, 40)),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 8), st.integers(1, 4))
def test_each_ends_once_and_the_bounds_are_kept(made: list[tuple[object, ...]], queue: int, depth: int) -> None:
    admission = AdmissionControl(queue, depth)
    inside, started, on_edge, ended, now_s = set[int](), list[int](), set[int](), Counter[int](), 0.0
    placed = set[int]()

    def turns() -> None:
        for number in admission.start(now_s):
            assert number in inside
            assert number not in started
            started.append(number)
            on_edge.add(number)

    for step in made:
        now_s += 0.25
        if step[0] == "arrive":
            _, client, priority, left_s = step
            deadline_s = None if left_s is None else now_s + left_s  # type: ignore[operator]
            try:
                arrived = admission.arrive(Arriving(client, priority, deadline_s, 1.0), now_s)  # type: ignore[arg-type]
            except (Shed, DeadlineUnreachable):
                continue
            inside.add(arrived.number)
            if arrived.shed is not None:
                assert arrived.shed not in started
                inside.remove(arrived.shed)
                ended[arrived.shed] += 1
        else:
            running = [number for number in started if number in inside]
            among = sorted(inside) if step[0] == "leave" else running
            if among:
                number = among[step[1] % len(among)]  # type: ignore[operator]
                if step[0] == "place":
                    if number not in placed:
                        admission.placed(number, EdgeWork(now_s + 3.0, 0.5, 0.0), now_s)
                        placed.add(number)
                    continue
                on_edge.discard(number)
                if step[0] == "crowd out":
                    admission.crowded_out(number, now_s)
                if step[0] == "prefix":
                    admission.prefix_ended(number, now_s)
                else:
                    admission.ended(number, now_s)
                    inside.remove(number)
                    ended[number] += 1
        turns()
        counts = admission.counts
        assert counts.waiting + counts.running == len(inside) <= queue
        assert len(on_edge & inside) <= depth
        assert counts.waiting == 0 or counts.running > 0  # no turn is withheld from an idle edge
    assert all(count == 1 for count in ended.values())


@given(st.sampled_from([None, 1e-6, 1.0]), st.integers(0, 9))
def test_an_idle_edge_lets_anybody_in_at_once(deadline_s: float | None, priority: int) -> None:
    admission = AdmissionControl(2, 1)
    arrived = admission.arrive(asks("a", priority, deadline_s), 0.0)
    assert list(admission.start(0.0)) == [arrived.number]
    assert admission.outlook(arrived.number, deadline_s, 0.0, idle=True).idle


def test_an_edge_is_not_idle_beside_a_request_that_is_believed_to_be_over() -> None:
    admission = AdmissionControl(8, 8)
    crossing, number = started(admission, asks(), EdgeWork(1.0, 0.0, 0.5, promised=True)), started(admission, asks())
    assert not admission.outlook(number, 1.0, 0.0, idle=True).idle
    admission.ended(crossing, 0.0)
    assert admission.outlook(number, 1.0, 0.0, idle=True).idle
    assert not admission.outlook(number, 1.0, 0.0, idle=False).idle


def test_a_full_queue_sheds_who_has_most_for_who_has_least() -> None:
    admission = AdmissionControl(4, 1)
    greedy = [admission.arrive(asks("greedy"), 0.0).number for _ in range(4)]
    admission.start(0.0)
    assert admission.arrive(asks("modest"), 0.0).shed == greedy[-1]
    with pytest.raises(Shed, match=r"edge\.limits\.queue"):
        admission.arrive(asks("greedy"), 0.0)


def test_the_first_priority_is_never_shed_for_a_later_one() -> None:
    admission = AdmissionControl(3, 1)
    for _ in range(3):
        admission.arrive(asks("a", 1), 0.0)
    admission.start(0.0)
    with pytest.raises(Overloaded):
        admission.arrive(asks("b", 2), 0.0)


def test_shares_are_equal_under_saturation_whatever_each_sends() -> None:
    admission, served, now_s, owner = AdmissionControl(16, 2), Counter[str](), 0.0, dict[int, str]()
    running = list[int]()
    for turn in range(600):
        for client, count in (("a", 9), ("b", 3), ("c", 1)):
            for _ in range(count):
                try:
                    owner[admission.arrive(asks(client), now_s).number] = client
                except Shed:
                    break
        running += admission.start(now_s)
        now_s += 0.1
        number = running.pop(0)
        admission.ended(number, now_s)
        if turn >= 100:
            served[owner[number]] += 1
    assert max(served.values()) - min(served.values()) <= 3


def test_the_pace_of_a_slow_load_is_forgotten_in_the_bursts_of_a_quick_one() -> None:
    """Requests that are refused for it would keep the queue so short that nothing was ever learned."""
    admission, now_s = AdmissionControl(32, 1), 0.0
    for _ in range(6):
        admission.arrive(asks("a", 0, None), now_s)
    for _ in range(6):
        (number,) = admission.start(now_s)
        now_s += 2.0
        admission.ended(number, now_s)
    served = list[int]()
    for burst in range(20):
        now_s, let_in = 100.0 + burst, 0
        for _ in range(4):
            try:
                admission.arrive(asks("b", 0, now_s + 0.5), now_s)
                let_in += 1
            except DeadlineUnreachable:
                pass
            if not let_in - 1:
                running = list(admission.start(now_s))
        while running:
            now_s += 0.01
            admission.ended(running.pop(0), now_s)
            running += admission.start(now_s)
        served.append(let_in)
    assert served[0] == 2
    assert served[-1] == 4


def at_a_turn_a_second(priority: int = 0, deadline_s: float | None = None, **facts: Any) -> AdmissionControl:
    """At 5 s, after five requests of client "a" that took a second each, one after the other; four more wait, and one
    runs."""
    admission, running, now_s = AdmissionControl(32, 1), list[int](), 0.0
    for _ in range(10):
        admission.arrive(asks("a", priority, deadline_s, **facts), now_s)
    for _ in range(5):
        running += admission.start(now_s)
        admission.placed(running[-1], EdgeWork(None, 1.0, 0.0), now_s)
        now_s += 1.0
        admission.ended(running.pop(0), now_s)
    admission.start(now_s)
    return admission


def test_a_request_whose_time_is_over_before_its_turn_is_refused_with_when_to_try_again() -> None:
    admission = at_a_turn_a_second(priority=1)
    with pytest.raises(DeadlineUnreachable, match="try again in") as caught:
        admission.arrive(asks("b", 2, 5.0 + 2.0), 5.0)
    assert caught.value.predicted_s == pytest.approx(5.0, rel=0.3)
    assert caught.value.retry_after_s == pytest.approx(3.0, rel=0.5)
    assert admission.arrive(asks("b", 1, 5.0 + 5.0), 5.0).shed is None


def test_a_clients_own_requests_that_are_due_later_keep_none_of_its_out() -> None:
    assert at_a_turn_a_second().arrive(asks("a", 0, 5.0 + 2.0), 5.0).shed is None
    with pytest.raises(DeadlineUnreachable):
        at_a_turn_a_second(deadline_s=5.5).arrive(asks("a", 0, 5.0 + 2.0), 5.0)


def test_a_forced_plan_is_not_refused_before_its_turn() -> None:
    assert at_a_turn_a_second(priority=1).arrive(asks("b", 2, 5.0 + 0.1, forced=True), 5.0).shed is None


def test_what_a_slow_model_takes_keeps_no_request_of_a_quick_one_out() -> None:
    assert at_a_turn_a_second(model="slow").arrive(asks("b", 1, 5.0 + 0.5, model="quick", cost_s=0.02), 5.0)
    with pytest.raises(DeadlineUnreachable):
        at_a_turn_a_second(model="slow").arrive(asks("b", 1, 5.0 + 0.5, model="slow"), 5.0)


def test_a_small_request_is_taken_to_take_the_smaller_part_and_a_large_one_no_more_than_is_known() -> None:
    assert at_a_turn_a_second().arrive(asks("b", 1, 5.0 + 0.5, cost_s=0.4), 5.0)
    assert at_a_turn_a_second().arrive(asks("b", 1, 5.0 + 1.5, cost_s=4.0), 5.0)


def test_one_that_was_refused_at_its_turn_does_not_make_others_seem_quick() -> None:
    admission = AdmissionControl(32, 1)
    admission.ended(started(admission, asks(), EdgeWork(None, 1.0, 0.0)), 1.0)
    for _ in range(20):
        admission.ended(started(admission, asks()), 0.0)
    started(admission, asks())
    with pytest.raises(DeadlineUnreachable):
        admission.arrive(asks("b", deadline_s=0.5), 0.0)


def test_says_who_waits_for_a_turn_and_for_how_long() -> None:
    counts = at_a_turn_a_second().counts
    assert (counts.waiting, counts.running) == (4, 1)
    assert counts.wait_s == pytest.approx(4.0)
    assert AdmissionControl(8, 1).counts == AdmissionCounts(0, 0)


def started(admission: AdmissionControl, asking: Arriving, work: EdgeWork | None = None) -> int:
    """One that has its turn at 0 s, and what is placed for it."""
    number = admission.arrive(asking, 0.0).number
    assert list(admission.start(0.0)) == [number]
    if work is not None:
        admission.placed(number, work, 0.0)
    return number


def test_beside_others_a_request_must_be_as_sure_as_was_asked_and_knows_what_the_edge_can_spare() -> None:
    admission = AdmissionControl(8, 8, probability=0.95)
    number = started(admission, asks(), EdgeWork(1.0, 0.0, 0.5, promised=True))
    outlook = admission.outlook(number, 1.2, 0.0, idle=False)
    assert outlook.sureness == 0.95
    assert outlook.spare_s == pytest.approx((1.2 - 0.55) / 1.1)
    assert admission.outlook(number, None, 0.0, idle=False).spare_s is None


WORK = EdgeWork(1.0, 0.2, 0.1)
"""Certain, and to be finished where the cloud does not answer."""


def spare_s(admission: AdmissionControl, client: str, priority: int = 0) -> float | None:
    """Of a request that is due at 1 s and whose turn comes now."""
    number = started(admission, asks(client, priority))
    outlook = admission.outlook(number, 1.0, 0.0, idle=False)
    admission.ended(number, 0.0)
    return outlook.spare_s


@pytest.mark.parametrize(("greedy", "modest"), [(0, 0), (2, 1)], ids=["a client", "a priority"])
def test_who_has_less_right_leaves_half_of_its_time_once_another_was_kept_out(greedy: int, modest: int) -> None:
    admission = AdmissionControl(32, 32)
    for _ in range(2):
        started(admission, asks("greedy", greedy), WORK)
    promised, certain = pytest.approx((1.0 - 2 * 0.33) / 1.1), pytest.approx((0.5 - 2 * 0.22) / 1.1)
    assert spare_s(admission, "greedy", greedy) == promised
    out = started(admission, asks("modest", modest))
    admission.crowded_out(out, 0.0)
    admission.ended(out, 0.0)
    assert spare_s(admission, "greedy", greedy) == certain
    assert spare_s(admission, "modest", modest) == promised
    assert spare_s(admission, "another", modest) == promised


def spare_beside_one_kept_out(work: EdgeWork) -> float | None:
    """Of a third request of a client that has two of such work under way, and kept another client out."""
    admission = AdmissionControl(32, 32)
    for _ in range(2):
        started(admission, asks("greedy"), work)
    admission.crowded_out(started(admission, asks("modest")), 0.0)
    return spare_s(admission, "greedy")


def test_an_edge_that_has_nothing_certain_to_do_waits_for_nobody() -> None:
    assert spare_beside_one_kept_out(EdgeWork(1.0, 0.0, 0.1)) == pytest.approx((1.0 - 0.22) / 1.1)


def test_room_is_never_more_than_keeps_what_was_promised() -> None:
    assert spare_beside_one_kept_out(EdgeWork(1.0, 0.05, 0.4)) == pytest.approx((1.0 - 2 * 0.495) / 1.1)


def test_who_waits_for_a_replica_leaves_the_edge_to_others_until_its_plan_is_chosen() -> None:
    admission = AdmissionControl(8, 1)
    first, second, third = (admission.arrive(asks(client), 0.0).number for client in "abc")
    assert list(admission.start(0.0)) == [first]
    admission.steps_aside(first, 0.0)
    assert list(admission.start(0.0)) == [second]
    admission.placed(first, EdgeWork(None, 0.5, 0.0), 0.0)
    admission.prefix_ended(second, 1.0)
    assert list(admission.start(1.0)) == []
    admission.prefix_ended(first, 1.0)
    assert list(admission.start(1.0)) == [third]


def test_those_that_wait_for_a_replica_keep_nobody_from_a_turn_and_are_half_of_all_at_most() -> None:
    admission = AdmissionControl(8, 8)
    waiting = [started(admission, asks()) for _ in range(4)]
    assert all(admission.steps_aside(number, 0.0) for number in waiting)
    running = [started(admission, asks("b")) for _ in range(4)]
    assert not admission.steps_aside(running[0], 0.0)
    assert admission.steps_aside(waiting[0], 1.0)  # which has its place
    admission.ended(waiting[0], 1.0)
    assert admission.steps_aside(running[0], 1.0)
    admission.placed(running[0], EdgeWork(None, 0.1, 0.0), 1.0)
    assert admission.steps_aside(running[1], 1.0)
    assert not admission.steps_aside(running[2], 1.0)


def test_what_waited_for_a_replica_until_its_end_teaches_nothing_of_its_model() -> None:
    admission = AdmissionControl(32, 1)
    number = started(admission, asks(), EdgeWork(None, 0.1, 0.0))
    admission.prefix_ended(number, 0.1)
    assert admission.steps_aside(number, 1.0)
    admission.ended(number, 60.0)
    started(admission, asks())
    assert admission.arrive(asks("b", deadline_s=60.5), 60.0).shed is None


def test_what_a_request_waited_for_a_replica_does_not_make_its_model_seem_slow() -> None:
    admission = AdmissionControl(32, 1)
    number = admission.arrive(asks(), 0.0).number
    assert list(admission.start(0.0)) == [number]
    admission.steps_aside(number, 0.0)
    admission.placed(number, EdgeWork(None, 0.1, 0.0), 2.0)
    admission.ended(number, 2.1)
    started(admission, asks())
    assert admission.arrive(asks("b", deadline_s=2.1 + 0.5), 2.1).shed is None
