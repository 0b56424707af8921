"""Which way a request goes on whose replica does not answer."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from nodes.resumption import EDGE_ADVANTAGE, Remote, expected_s, patience_s, remote_s, soonest, waits_until_s
from partitioner.link import Link
from partitioner.plan import Prediction

times = st.floats(0.0, 100.0)


def test_the_edge_finishes_where_there_is_nobody_else() -> None:
    assert soonest(5.0, ()) is None


def test_another_replica_is_asked_where_it_is_sooner() -> None:
    assert soonest(5.0, (Remote("slow", 9.0), Remote("quick", 1.0))) == "quick"


def test_the_edge_finishes_where_it_is_sooner() -> None:
    assert soonest(0.5, (Remote("quick", 1.0),)) is None


def test_what_the_edge_must_not_finish_goes_to_the_soonest_replica_however_late() -> None:
    assert soonest(None, (Remote("a", math.inf),)) == "a"
    assert soonest(None, ()) is None


@given(st.none() | times, st.lists(times, max_size=5))
def test_nothing_left_is_clearly_sooner_than_what_is_chosen(edge_s: float | None, remotes: list[float]) -> None:
    chosen = soonest(edge_s, [Remote(number, s) for number, s in enumerate(remotes)])
    taken_s = math.inf if edge_s is None else edge_s
    if chosen is not None:
        taken_s = remotes[chosen]
        assert edge_s is None or taken_s < edge_s
    assert all(taken_s <= other_s * EDGE_ADVANTAGE for other_s in remotes) or (edge_s is None and not remotes)


def test_a_replica_is_predicted_by_all_that_is_on_the_link_before_it() -> None:
    link = Link(8e6, 8e6, 0.1)
    assert remote_s(link, 1_000_000, 500_000, 0.2) == 1.0 + 0.1 + 0.2 + 0.5


def test_nobody_can_say_that_a_replica_is_sooner_on_an_unknown_link() -> None:
    assert remote_s(None, 1, 1, 0.0) == math.inf


def test_an_answer_is_expected_by_what_follows_the_sending() -> None:
    """Not by the edge's queue and prefix, what it costs besides, and the wait that was feared for something overdue."""
    link, predicted = Link(8e6, 8e6, 0.1), Prediction.of(12.0, 13.0, 0.2, 0.5, 2.0)
    assert expected_s(predicted, link, 0.5, 1_000_000, 500_000, 0.1) == 0.5 + 1.0 + 0.1 + 0.2 + 0.5
    assert expected_s(predicted, link, 0.0, 1_000_000, 500_000, 3.0) == 1.0 + 0.1 + 3.0 + 0.5


def test_on_an_unknown_link_an_answer_is_expected_as_the_stages_after_the_sending_were_predicted() -> None:
    assert expected_s(Prediction.of(12.0, 0.5, 0.25, 0.125, 2.0), None, 0.0, 1, 1, 9.0) == 0.875


def test_patience_is_a_multiple_of_the_prediction_and_a_second_at_least() -> None:
    assert patience_s(0.01) == 1.01
    assert patience_s(2.0) == 8.0


def test_an_edge_waits_so_long_that_it_can_still_finish_and_to_the_deadline_where_it_could_not_anyhow() -> None:
    assert waits_until_s(0.0, 1.0, 0.95, 0.2, 1.5) == 0.95 - 1.5 * 0.2
    assert waits_until_s(0.8, 1.0, 0.95, 0.2, 1.5) == 0.95 - 1.5 * 0.2  # at once
    assert waits_until_s(0.81, 1.0, 0.95, 0.2, 1.5) == 1.0
