"""How long to wait before trying again."""

from __future__ import annotations

from random import Random

from nodes.backoff import Backoff


def test_waits_double_up_to_the_most_within_their_upper_half() -> None:
    backoff = Backoff(0.1, 0.4, Random(0))
    for whole_s in (0.1, 0.2, 0.4, 0.4, 0.4):
        assert whole_s / 2 <= backoff.next_s() <= whole_s


def test_success_starts_again_from_the_shortest_wait() -> None:
    backoff = Backoff(0.1, 10.0, Random(0))
    for _ in range(5):
        backoff.next_s()
    backoff.succeeded()
    assert backoff.next_s() <= 0.1
