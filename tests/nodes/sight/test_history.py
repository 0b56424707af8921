"""The last half hour of an edge, bounded."""

from __future__ import annotations

from nodes.sight.history import KEPT_MOMENTS, KEPT_REQUESTS, History
from tests.nodes.sight.views import LINK, ended, failed, reading


def test_a_moment_is_what_happened_between_two_readings() -> None:
    history = History(reading(10.0, answered=5, failed=1, mistaken=2, count=8))
    requests = (ended(), ended("cloud-only"), failed())
    history.add(reading(12.5, *requests, count=18, answered=12, failed=2, mistaken=2, waiting=3, replicas_usable=2))
    (moment,) = history.since(0)
    assert (moment.number, moment.at_s, moment.span_s) == (1, 12.5, 2.5)
    assert (moment.answered, moment.failed, moment.mistaken) == (7, 1, 0)
    assert (moment.ended, moment.looked_at) == (10, 3)
    assert moment.plans == {"edge-only": 2, "cloud-only": 1}
    assert (moment.waiting, moment.replicas_usable, moment.link) == (3, 2, LINK)


def test_what_was_decided_before_the_first_reading_is_in_no_moment() -> None:
    history = History(reading(0.0, count=6))
    history.add(reading(2.0, ended(), count=7))
    assert (history.ended, history.since(0)[0].ended, len(history.requests)) == (7, 1, 1)


def test_only_the_moments_after_a_known_one_are_handed_out() -> None:
    history = History(reading(0.0))
    for number in range(1, 6):
        history.add(reading(2.0 * number))
    assert [moment.number for moment in history.since(3)] == [4, 5]
    assert history.since(5) == history.since(99) == ()


def test_lately_reaches_back_from_the_last_moment() -> None:
    history = History(reading(0.0))
    for number in range(1, 6):
        history.add(reading(2.0 * number))
    assert [moment.number for moment in history.lately(4.0)] == [4, 5]


def test_it_is_bounded_whatever_comes() -> None:
    history = History(reading(0.0))
    names = [f"split at {number}" for number in range(100)]
    for number in range(1, KEPT_MOMENTS + 11):
        requests = map(ended, names) if number % 100 == 0 else ()
        history.add(reading(2.0 * number, *requests))
    kept = history.since(0)
    assert (len(kept), kept[0].number) == (KEPT_MOMENTS, 11)
    assert len(history.requests) == KEPT_REQUESTS
    assert [moment.number for moment in history.since(KEPT_MOMENTS)] == list(range(KEPT_MOMENTS + 1, KEPT_MOMENTS + 11))
    assert max(len(moment.plans) for moment in kept) == 25
    assert {sum(moment.plans.values()) for moment in kept} == {0, 100}
