"""What the edge has promised: by brute force over all orders of the work."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nodes.admission import EdgeWork
from nodes.resumption import WORK_MARGIN
from scheduler.admission.commitments import EdgeCommitments

works = st.lists(
    st.builds(EdgeWork, st.floats(0.5, 6.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)), min_size=0, max_size=5
)


def kept_in_some_order(jobs: list[tuple[float, float]]) -> bool:
    def kept(order: tuple[tuple[float, float], ...]) -> bool:
        ends = itertools.accumulate(seconds for _, seconds in order)
        return all(end <= due_s + 1e-9 for (due_s, _), end in zip(order, ends, strict=True))

    return any(kept(order) for order in itertools.permutations(jobs))


@given(works, st.floats(0.5, 6.0))
@settings(max_examples=60)
def test_what_can_be_spared_is_the_most_that_keeps_every_promise(made: list[EdgeWork], due_s: float) -> None:
    promises = EdgeCommitments()
    for number, one in enumerate(made):  # nothing is certain to run yet: what runs is not interrupted
        promises.add(number, EdgeWork(one.due_s, 0.0, one.prefix_s + one.finish_s), 0.0)
    jobs = [(one.due_s or 0.0, WORK_MARGIN * (one.prefix_s + one.finish_s)) for one in made]
    assume(kept_in_some_order(jobs))
    spare_s = WORK_MARGIN * promises.spare_s(due_s, 0.0)
    if spare_s >= 0:
        assert kept_in_some_order([*jobs, (due_s, spare_s - 1e-6)])
    assert not kept_in_some_order([*jobs, (due_s, max(0.0, spare_s) + 1e-3)])


def test_a_promise_is_held_until_the_answer_is_there_and_no_longer() -> None:
    promises = EdgeCommitments()
    alone_s = promises.spare_s(1.0, 0.0)
    promises.add(1, EdgeWork(1.0, 0.1, 0.5), 0.0)
    promises.prefix_ended(1, 0.1)
    assert promises.spare_s(1.0, 0.1) == pytest.approx((0.9 - WORK_MARGIN * 0.5) / WORK_MARGIN)
    promises.left(1, 0.2)
    assert promises.spare_s(1.2, 0.2) == pytest.approx(alone_s)


def test_what_runs_is_counted_by_what_is_left_of_it() -> None:
    promises = EdgeCommitments()
    promises.add(1, EdgeWork(9.0, 1.0, 0.0), 0.0)
    assert WORK_MARGIN * promises.spare_s(2.0, 0.6) == pytest.approx(1.4 - (WORK_MARGIN - 0.6))


def test_a_request_without_a_deadline_keeps_nobody_out_unless_it_runs() -> None:
    promises = EdgeCommitments()
    promises.add(1, EdgeWork(9.0, 0.1, 0.0), 0.0)
    promises.add(2, EdgeWork(None, 100.0, 0.0), 0.0)
    assert WORK_MARGIN * promises.spare_s(1.0, 0.0) == pytest.approx(1.0 - WORK_MARGIN * 0.1)


def test_whom_nothing_was_promised_is_finished_by_its_due_time_only_where_no_promise_breaks() -> None:
    promises = EdgeCommitments()
    promises.add(1, EdgeWork(1.0, 0.0, 0.6), 0.0)
    promises.add(2, EdgeWork(1.0, 0.0, 0.0), 0.0)
    assert not promises.finishes(2, EdgeWork(1.0, 0.0, 0.5), 0.0)
    assert promises.finishes(1, EdgeWork(1.0, 0.0, 0.6), 0.0)
    promises.left(1, 0.0)
    assert promises.finishes(2, EdgeWork(1.0, 0.0, 0.5), 0.0)


@pytest.mark.parametrize("others_s", [0.1, 0.6], ids=["in time", "after all that was promised"])
def test_what_the_edge_finishes_takes_its_time_whether_it_was_promised_or_not(others_s: float) -> None:
    promises = EdgeCommitments()
    promises.add(1, EdgeWork(1.0, 0.0, others_s), 0.0)
    promises.finishes(2, EdgeWork(1.0, 0.0, 0.5), 0.0)
    assert promises.certain_s(0.0) == pytest.approx(WORK_MARGIN * 0.5)
    left_s = 1.0 - WORK_MARGIN * (0.5 + others_s)  # it has begun: who comes later waits for it
    assert WORK_MARGIN * promises.spare_s(1.0, 0.0) == pytest.approx(left_s)


def test_certain_is_what_no_answer_of_the_cloud_spares_the_edge() -> None:
    promises = EdgeCommitments()
    promises.add(1, EdgeWork(1.0, 0.2, 0.5), 0.0)
    promises.add(2, EdgeWork(2.0, 0.1, 0.5), 0.0)
    assert promises.certain_s(0.1) == pytest.approx(WORK_MARGIN * 0.3 - 0.1)
    promises.prefix_ended(1, 0.2)
    assert promises.certain_s(0.2) == pytest.approx(WORK_MARGIN * 0.1)
    promises.finishes(1, EdgeWork(1.0, 0.0, 0.5), 0.2)
    assert promises.certain_s(0.2) == pytest.approx(WORK_MARGIN * 0.6)
