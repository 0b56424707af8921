"""The requests that failed last."""

from __future__ import annotations

import asyncio
import tracemalloc

from isthmus.errors import InvalidRequest, NotFound, Overloaded
from nodes.sight.failures import KEPT_FAILURES, RecentFailures


def test_what_clients_do_wrong_is_counted_apart() -> None:
    failures = RecentFailures()
    for error in (Overloaded("full"), NotFound("nothing"), InvalidRequest("x", "is none"), asyncio.CancelledError()):
        failures.record("net", error, "r1")
    assert (failures.failed, failures.mistaken) == (1, 3)
    assert [one.status for one in failures.kept] == ["RESOURCE_EXHAUSTED", "NOT_FOUND", "INVALID_ARGUMENT", "CANCELLED"]
    assert {one.request_id for one in failures.kept} == {"r1"}


def test_the_newest_are_kept_in_one_short_line_each() -> None:
    failures = RecentFailures()
    for number in range(KEPT_FAILURES + 1):
        failures.record("", NotFound(f"{number}\n" + "x" * 1000))
    assert (failures.mistaken, len(failures.kept)) == (KEPT_FAILURES + 1, KEPT_FAILURES)
    assert (failures.kept[0].message[:4], len(failures.kept[0].message)) == ("1 xx", 300)


def test_a_message_as_long_as_what_a_client_sent_costs_no_more_than_its_beginning() -> None:
    failures, error = RecentFailures(), NotFound("a " * 1_000_000)
    tracemalloc.start()
    failures.record("", error)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(failures.kept[0].message) <= 300
    assert peak_bytes < 1_000_000
