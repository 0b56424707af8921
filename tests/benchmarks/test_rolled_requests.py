"""Which version of a rolled-over model an answer may be of, by when it was asked."""

from __future__ import annotations

import pytest

from benchmarks.rolled_requests import MOST_TOLD, Answer, Turn, failures_told, wrong_answers

# There from 10 to 20 s, a version that is rolled back from 30 to 40 s, back again from 50 to 60 s.
TURNS = (
    Turn("model", "", 0, 1, 10.0, 20.0),
    Turn("broken", "", 1, 1, 30.0, 40.0),
    Turn("model", "", 1, 0, 50.0, 60.0),
)


@pytest.mark.parametrize(
    ("sent_s", "right"),
    [(5.0, {0}), (9.8, {0, 1}), (15.0, {0, 1}), (20.5, {1}), (35.0, {1}), (45.0, {1}), (55.0, {0, 1}), (61.0, {0})],
)
def test_an_answer_is_of_a_version_that_served_when_it_was_asked(sent_s: float, right: set[int]) -> None:
    wrong = {version for version in (-1, 0, 1) if wrong_answers([Answer(sent_s, 0.5, version)], TURNS)}
    assert wrong == {-1, 0, 1} - right


def test_an_error_is_not_a_wrong_answer_too() -> None:
    assert wrong_answers([Answer(5.0, 0.5, -1, error="Unavailable: none")], TURNS) == 0


def test_without_a_turn_the_first_version_answers() -> None:
    assert wrong_answers([Answer(5.0, 0.5, 0), Answer(5.0, 0.5, 1)], ()) == 1


def test_a_failed_request_is_told_with_its_place_in_the_turns() -> None:
    failed = [Answer(sent_s, 1.5, -1, error="Unavailable: none") for sent_s in (5.0, 11.0, 29.0)]
    assert failures_told([Answer(4.0, 0.5, 0), *failed], TURNS) == [
        "before the first turn, took 1.50 s: Unavailable: none",
        "model, 2.50 s after its beginning, took 1.50 s: Unavailable: none",
        "broken, 0.50 s after its beginning, took 1.50 s: Unavailable: none",
    ]
    assert failures_told(failed * MOST_TOLD, TURNS)[MOST_TOLD:] == [f"and {2 * MOST_TOLD} more"]
