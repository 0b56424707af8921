"""Which requests teach."""

from __future__ import annotations

from nodes.lesson_pace import LEAST_BETWEEN_LESSONS_S, LessonPace


def test_the_first_request_of_a_plan_teaches() -> None:
    assert LessonPace().due("a", 0.0)


def test_what_is_answered_soon_after_a_lesson_teaches_nothing() -> None:
    pace = LessonPace()
    taught = [pace.due("a", moment_s) for moment_s in (5.0, 5.0, 5.0 + 0.9 * LEAST_BETWEEN_LESSONS_S)]
    assert taught == [True, False, False]


def test_a_while_later_the_plan_teaches_again() -> None:
    pace = LessonPace()
    pace.due("a", 5.0)
    assert pace.due("a", 5.0 + 1.1 * LEAST_BETWEEN_LESSONS_S)


def test_each_plan_teaches_for_itself() -> None:
    pace = LessonPace()
    pace.due("a", 5.0)
    assert pace.due("b", 5.0)
