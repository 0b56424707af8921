"""When a request is sent twice, and how many are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidConfiguration
from nodes.hedging import REQUESTS_A_HEDGE, Hedging


def seen(percentile: float, ratios: list[float], expected_s: float = 1.0) -> Hedging:
    hedging = Hedging(percentile)
    for ratio in ratios:
        hedging.answered(expected_s, expected_s * ratio)
    return hedging


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.95])
def test_a_high_percentile_is_told_once_as_many_answers_were_seen_as_it_takes(percentile: float) -> None:
    least = round(100 / (100 - percentile))
    assert seen(percentile, [1.0] * (least - 1)).after_s(1.0) is None
    assert seen(percentile, [1.0] * 3 * least).after_s(1.0) == 1.0


@given(st.lists(st.booleans(), max_size=2000))
def test_of_all_requests_no_more_than_a_twentieth_is_sent_twice(wanted: list[bool]) -> None:
    hedging, hedges = Hedging(95.0), 0
    for number, wants in enumerate(wanted, start=1):
        hedging.sent()
        hedges += wants and hedging.spend()
        assert hedges * REQUESTS_A_HEDGE <= number


def test_a_quiet_time_saves_up_few() -> None:
    hedging = Hedging(95.0)
    for _ in range(10_000):
        hedging.sent()
    assert [hedging.spend() for _ in range(6)] == [True] * 5 + [False]


@given(st.floats(50.1, 99.9), st.lists(st.floats(0.1, 10.0), min_size=20, max_size=500))
def test_it_waits_for_the_percentile_of_what_answers_took_over_their_prediction(p: float, ratios: list[float]) -> None:
    after_s = seen(p, ratios, expected_s=0.2).after_s(0.5)
    if after_s is None:
        assert len(ratios) < round(1 / (1 - p / 100))
        return
    sooner = sum(ratio * 0.5 < after_s - 1e-9 for ratio in ratios)
    not_later = sum(ratio * 0.5 <= after_s + 1e-9 for ratio in ratios)
    assert sooner <= p / 100 * len(ratios) <= not_later + 1e-9


def test_a_request_cut_short_by_a_hedge_leaves_the_percentile_where_it_is() -> None:
    hedging = seen(90.0, [number / 100 for number in range(1, 101)])
    before_s = hedging.after_s(1.0)
    assert before_s is not None
    for number in range(10):
        hedging.answered(1.0, before_s + number)  # nobody knows how much longer it would have been
        for _ in range(9):
            hedging.answered(1.0, 0.5)
    assert hedging.after_s(1.0) == before_s


def test_only_the_latest_answers_count() -> None:
    assert seen(90.0, [5.0] * 400 + [1.0] * 500).after_s(1.0) == 1.0


@pytest.mark.parametrize(("percentile", "least"), [(95.0, 20), (99.0, 100)])
def test_before_enough_answers_were_seen_nothing_is_late(percentile: float, least: int) -> None:
    assert seen(percentile, [1.0] * (least - 1)).after_s(1.0) is None
    assert seen(percentile, [1.0] * least).after_s(1.0) == 1.0


@pytest.mark.parametrize("expected_s", [0.0, float("inf"), float("nan")])
def test_what_cannot_be_predicted_is_never_late(expected_s: float) -> None:
    hedging = seen(95.0, [1.0] * 100)
    hedging.answered(expected_s, 1.0)
    assert hedging.after_s(expected_s) is None


def test_off_nothing_is_late() -> None:
    hedging = Hedging()
    for _ in range(100):
        hedging.answered(1.0, 1.0)
    assert hedging.after_s(1.0) is None


@pytest.mark.parametrize("percentile", [50.0, 100.0, float("nan")])
def test_a_percentile_is_between_50_and_100(percentile: float) -> None:
    with pytest.raises(InvalidConfiguration, match=r"edge\.hedge_percentile"):
        Hedging(percentile)
