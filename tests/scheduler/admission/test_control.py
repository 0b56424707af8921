"""Who is let in: bounds, order, and one outcome for each."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import DeadlineUnreachable, Overloaded, Shed
from nodes.admission import Arriving, EdgeWork
from scheduler.admission.control import HOPELESS, AdmissionControl


def asks(client: str = "a", priority: int = 0, deadline_s: float | None = None) -> Arriving:
    return Arriving(client, priority, deadline_s, 1.0)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from("abc"), st.integers(0, 2), st.sampled_from([None, 0.5, 3.0])),
        st.tuples(st.sampled_from(["prefix", "end", "leave"]), st.integers(0, 40)),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 8), st.integers(1, 4))
def test_each_ends_once_and_the_bounds_are_kept(made: list[tuple[object, ...]], queue: int, depth: int) -> None:
    admission = AdmissionControl(queue, depth)
    inside, started, on_edge, ended, now_s = set[int](), list[int](), set[int](), Counter[int](), 0.0

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
                on_edge.discard(number)
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
    assert admission.outlook(deadline_s, 0.0, idle=True).sureness == HOPELESS


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


def test_a_request_whose_time_is_over_before_its_turn_is_refused_with_when_to_try_again() -> None:
    admission, running, now_s = AdmissionControl(32, 1), list[int](), 0.0
    for _ in range(10):
        admission.arrive(asks(), now_s)
    for _ in range(5):
        running += admission.start(now_s)
        now_s += 1.0
        admission.ended(running.pop(0), now_s)
    running += admission.start(now_s)
    with pytest.raises(DeadlineUnreachable, match="try again in") as caught:
        admission.arrive(asks(deadline_s=now_s + 2.0), now_s)
    assert caught.value.predicted_s == pytest.approx(5.0, rel=0.3)
    assert caught.value.retry_after_s == pytest.approx(3.0, rel=0.5)
    assert admission.arrive(asks("b", deadline_s=now_s + 5.0), now_s).shed is None


def test_beside_others_a_request_must_be_as_sure_as_was_asked_and_knows_what_the_edge_can_spare() -> None:
    admission = AdmissionControl(8, 8, probability=0.95)
    number = admission.arrive(asks(), 0.0).number
    admission.start(0.0)
    admission.placed(number, EdgeWork(1.0, 0.0, 0.5, promised=True), 0.0)
    outlook = admission.outlook(1.2, 0.0, idle=False)
    assert outlook.sureness == 0.95
    assert outlook.spare_s == pytest.approx((1.2 - 0.55) / 1.1)
    assert admission.outlook(None, 0.0, idle=False).spare_s is None
