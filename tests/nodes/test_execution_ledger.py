"""The gate before every piece of work, and what it counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import Cancelled, DeadlineExceeded
from nodes.execution_ledger import ExecutionCounts, ExecutionLedger


def test_work_in_time_begins_once() -> None:
    ledger = ExecutionLedger()
    ticket = ledger.admit(5.0)
    ticket.begin(4.9)
    ticket.withdraw(6.0)
    assert ledger.counts == ExecutionCounts(executed=1)


def test_work_at_its_deadline_does_not_begin() -> None:
    ledger = ExecutionLedger()
    with pytest.raises(DeadlineExceeded):
        ledger.admit(5.0).begin(5.0)
    assert ledger.counts == ExecutionCounts(expired_unexecuted=1)


def test_work_that_runs_later_than_the_gate_let_it_is_counted() -> None:
    ledger = ExecutionLedger()
    for runs_s in (4.95, 5.0, 5.1):
        ticket = ledger.admit(5.0)
        ticket.begin(4.9)
        ticket.runs(runs_s)
    ledger.admit(None).runs(1e9)
    assert ledger.counts == ExecutionCounts(executed=3, executed_after_deadline=2)


def test_work_that_was_taken_back_does_not_begin() -> None:
    ledger = ExecutionLedger()
    ticket = ledger.admit(None)
    ticket.withdraw(1.0)
    with pytest.raises(Cancelled):
        ticket.begin(2.0)
    assert ledger.counts == ExecutionCounts(cancelled_unexecuted=1)


def test_work_whose_batch_failed_begins_again_in_time_and_counts_once() -> None:
    ledger = ExecutionLedger()
    ticket = ledger.admit(5.0)
    ticket.begin(4.0)
    ticket.begin_again(4.9)
    with pytest.raises(DeadlineExceeded):
        ticket.begin_again(5.0)
    assert ledger.counts == ExecutionCounts(executed=1)


def test_work_that_was_taken_back_while_its_batch_ran_does_not_begin_again() -> None:
    ledger = ExecutionLedger()
    ticket = ledger.admit(None)
    ticket.begin(4.0)
    ticket.withdraw(4.1)
    with pytest.raises(Cancelled):
        ticket.begin_again(4.2)
    assert ledger.counts == ExecutionCounts(executed=1)


@given(st.lists(st.tuples(st.none() | st.integers(0, 9), st.permutations(["begin", "withdraw"])), max_size=20))
def test_every_piece_of_work_ends_in_one_count_and_none_begins_late(
    works: list[tuple[int | None, list[str]]],
) -> None:
    ledger, now = ExecutionLedger(), 0.0
    for deadline, moves in works:
        ticket = ledger.admit(deadline)
        for move in moves:
            now = (now + 0.7) % 10
            if move == "withdraw":
                ticket.withdraw(now)
                continue
            try:
                ticket.begin(now)
            except (Cancelled, DeadlineExceeded):
                pass
            else:
                assert deadline is None or now < deadline
    counts = ledger.counts
    assert counts.executed + counts.expired_unexecuted + counts.cancelled_unexecuted == len(works)
    assert counts.executed_after_deadline == 0
