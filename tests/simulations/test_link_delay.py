"""Delays of messages: half a round trip, with jitter, in order."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.link_delay import LinkDelay
from simulations.round_trips import RoundTrips


def test_without_jitter_every_message_takes_the_mean() -> None:
    delay = LinkDelay(0.03)
    assert [delay.draw_s(0.0), delay.arrives_s(1.0, 0.5), delay.arrives_s(2.0, 1.5)] == [0.03, 1.03, 2.03]


def test_jitter_stays_within_its_bounds_and_nothing_overtakes() -> None:
    delay = LinkDelay(0.03, 0.01, "a")
    drawn = [delay.draw_s(0.0, (n,)) for n in range(1000)]
    assert 0.02 <= min(drawn) < 0.021
    assert 0.039 < max(drawn) <= 0.04
    arrived = [delay.arrives_s(1.0 + n * 0.001, 0.9 + n * 0.001) for n in range(100)]
    assert arrived == sorted(arrived)


def test_a_delay_is_never_below_zero() -> None:
    delay = LinkDelay(0.001, 0.01, "a")
    assert min(delay.draw_s(0.0, (n,)) for n in range(100)) == 0.0


def test_jitter_is_evenly_distributed_and_of_each_seed_its_own() -> None:
    one, other = (np.array([LinkDelay(1.0, 0.5, seed).draw_s(0.0, (n, 0.25)) for n in range(4000)]) for seed in "ab")
    assert np.histogram(one, 8, (0.5, 1.5))[0] == pytest.approx(500, abs=100)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.06
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.06


def test_a_messages_jitter_is_its_own_whatever_else_was_sent() -> None:
    def there_s(others: int) -> float:
        delay = LinkDelay(0.03, 0.01, "a")
        for n in range(others):
            delay.arrives_s(n * 0.1, n * 0.1, (n * 0.1, 1.0))
            delay.draw_s(n * 0.1)
        return delay.arrives_s(5.0, 5.0, (5.0, 0.7))

    assert len({there_s(others) for others in (0, 1, 17)}) == 1


def test_echoes_are_told_apart_by_when_they_leave() -> None:
    delay = LinkDelay(0.03, 0.01, "a")
    assert delay.draw_s(1.0) == delay.draw_s(1.0) != delay.draw_s(1.5)


def test_nobody_waits_behind_what_was_taken_back() -> None:
    delay = LinkDelay(0.03)
    assert delay.arrives_s(2.0, 0.0) == pytest.approx(2.03)
    first_s, second_s = (delay.arrives_s(sent_s, 0.0) for sent_s in (80.0, 90.0))
    delay.take_back(first_s)
    delay.take_back(second_s)
    assert delay.arrives_s(7.0, 5.0) == pytest.approx(7.03)
    assert delay.arrives_s(6.0, 5.0) == pytest.approx(7.03)


def test_a_message_takes_half_of_what_was_recorded_for_when_it_leaves_and_overtakes_none() -> None:
    recorded = RoundTrips((0.0, 10.0), (2.0, 0.1), usual_s=1.05, start_s=5.0)
    delay = LinkDelay(0.5, recorded=recorded)
    assert [delay.draw_s(moment_s) for moment_s in (0.0, 4.9, 5.1, 14.9, 15.1)] == [1.0, 1.0, 0.05, 0.05, 1.0]
    assert delay.arrives_s(4.9, 4.8) == pytest.approx(5.9)
    assert delay.arrives_s(5.1, 5.0) == pytest.approx(5.9)  # it would have been there at 5.15
    assert delay.arrives_s(6.0, 6.0) == pytest.approx(6.05)


def test_jitter_is_about_what_was_recorded() -> None:
    delay = LinkDelay(0.5, 0.01, "a", RoundTrips((0.0, 10.0), (2.0, 0.1), usual_s=1.05))
    drawn = [delay.draw_s(12.0, (n,)) for n in range(1000)]
    assert 0.04 <= min(drawn) < 0.041
    assert 0.059 < max(drawn) <= 0.06
