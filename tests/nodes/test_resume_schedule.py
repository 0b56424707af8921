"""When the edge must stop waiting so that it can finish all of its requests by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodes.resume_schedule import ResumeSchedule, Waiting, latest_starts

works = st.lists(
    st.builds(Waiting, st.floats(1.0, 10.0), st.floats(0.001, 1.0), st.floats(-5.0, 5.0)), min_size=1, max_size=12
)


@given(works)
def test_begun_at_their_last_moments_all_end_in_time_one_after_the_other(waiting: list[Waiting]) -> None:
    ordered = sorted(waiting, key=lambda one: one.deadline_s)
    moments = latest_starts(ordered)
    for number, (one, moment) in enumerate(zip(ordered, moments, strict=True)):
        until = min([one.deadline_s, *moments[number + 1 :]])
        assert moment + one.finish_s <= until + 1e-9


@given(works)
def test_no_moment_could_be_later(waiting: list[Waiting]) -> None:
    ordered = sorted(waiting, key=lambda one: one.deadline_s)
    moments = latest_starts(ordered)
    ends = [one.finish_s + moment for one, moment in zip(ordered, moments, strict=True)]
    for number, end in enumerate(ends):
        limits = [ordered[number].deadline_s, *moments[number + 1 : number + 2]]
        assert abs(end - min(limits)) < 1e-9


@given(works, st.data())
def test_the_insured_are_told_their_moments_whoever_comes_and_goes(waiting: list[Waiting], data: st.DataObject) -> None:
    schedule, told, inside = ResumeSchedule(), dict[int, float](), dict[int, int]()
    for index, one in enumerate(waiting):
        number = schedule.enter(one, lambda moment, index=index: told.__setitem__(index, moment))  # type: ignore[misc]
        if number is not None:
            inside[index] = number
        leaver = data.draw(st.sampled_from([-1, *inside]))
        if leaver >= 0:
            schedule.leave(inside.pop(leaver))
        order = sorted(inside, key=lambda i: (waiting[i].deadline_s, inside[i]))
        moments = latest_starts([waiting[i] for i in order])
        assert [told[i] for i in order] == moments
        assert all(moment >= waiting[i].expected_s for i, moment in zip(order, moments, strict=True))
    assert len(schedule) == len(inside)


def test_what_the_edge_could_not_finish_anyhow_does_not_drive_others_from_the_cloud() -> None:
    schedule, told = ResumeSchedule(), list[float]()
    assert schedule.enter(Waiting(2.0, 0.5, 0.5), told.append) is not None
    assert schedule.enter(Waiting(2.0, 1.2, 0.5), told.append) is None
    assert told == [1.5]


def test_who_leaves_early_as_was_promised_costs_nobody_else_the_insurance_unless_that_makes_it_leave_sooner() -> None:
    schedule, told = ResumeSchedule(), list[float]()
    assert schedule.enter(Waiting(2.0, 1.2, 1.5), told.append, promised=True) is not None
    assert schedule.enter(Waiting(9.0, 1.0, 1.5), told.append) is not None  # long after it
    assert schedule.enter(Waiting(2.5, 1.0, 0.5), told.append) is None  # would leave it less time
    assert told == [0.8, 8.0]


def test_one_that_was_promised_is_insured_though_it_may_have_to_begin_before_its_answer_is_expected() -> None:
    schedule, told = ResumeSchedule(), list[float]()
    assert schedule.enter(Waiting(2.0, 1.2, 1.5), told.append, promised=True) is not None
    assert told == [0.8]
