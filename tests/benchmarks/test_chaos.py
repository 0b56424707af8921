"""Chaos in short: real processes, killed, stopped, drained and cut off at random, and no request is lost."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.chaos import Chaos, run_chaos
from benchmarks.chaos_faults import CLOUD_REQUIRED
from benchmarks.judged_requests import Asked
from benchmarks.streamed_requests import StreamedRequests


@pytest.mark.slow
def test_no_request_is_lost_wrong_or_answered_twice() -> None:
    chaos = asyncio.run(run_chaos(1_500, seed=1, least_faults=4))
    assert chaos.lost == []
    assert (chaos.wrong, chaos.duplicated, chaos.computed_twice) == (0, 0, 0)
    assert len(chaos.asked) >= 1_500
    assert chaos.faults.total() >= 4
    assert "cloud" in {one.finished_by for one in chaos.asked}
    assert chaos.cloud["executed"] > 0


@pytest.mark.slow
def test_nor_is_one_that_only_the_cloud_may_finish() -> None:
    chaos = asyncio.run(run_chaos(300, seed=1, least_faults=len(CLOUD_REQUIRED), required=True))
    assert chaos.lost == []
    assert (chaos.wrong, chaos.duplicated, chaos.computed_twice) == (0, 0, 0)
    assert set(chaos.faults) == set(CLOUD_REQUIRED)
    assert {one.finished_by for one in chaos.asked if not one.error} == {"cloud"}


def asked(finished_by: str = "cloud", error: str = "") -> Asked:
    return Asked(not error, 0.0, not error, error, finished_by)


def edge_counts(**requests: int) -> dict[str, dict[str, int]]:
    return {"requests": {"resent": 0, "resumed_on_edge": 0, "hedged": 0, **requests}}


def test_more_suffixes_than_were_sent_count_as_computed_twice() -> None:
    all_asked = [asked(), asked("edge"), asked("", "lost")]
    chaos = Chaos(asked=all_asked, warm=[asked()], edge=edge_counts(resent=1, resumed_on_edge=1))
    assert chaos.sent == 5
    chaos.cloud["executed"] = 5
    assert chaos.computed_twice == 0
    chaos.cloud["executed"] = 7
    assert chaos.computed_twice == 2


@pytest.mark.parametrize(("required", "lost"), [(False, 2), (True, 1)])
def test_what_only_the_cloud_may_finish_may_be_refused_before_anything_is_done(required: bool, lost: int) -> None:
    errors = ["DeadlineUnreachable: deadline: 2 s are left and the quickest plan takes 3 s; wait", "DeadlineExceeded"]
    chaos = Chaos(required, [asked("", error) for error in errors])
    assert (len(chaos.lost), chaos.refused) == (lost, 2 - lost)


def test_answers_that_come_twice_or_to_nothing_are_seen() -> None:
    streamed = StreamedRequests(None, None)  # type: ignore[arg-type]  # asked nothing here
    streamed.asked = 2
    streamed.answers.update(["0", "1"])
    assert streamed.duplicated == 0
    streamed.answers.update(["1", "none of ours"])
    assert streamed.duplicated == 2
