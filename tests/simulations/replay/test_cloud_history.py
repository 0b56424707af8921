"""What of the waiting in the cloud was others' work."""

from __future__ import annotations

import pytest

from simulations.replay.cloud_history import cloud_history
from simulations.replay.logged_request import LoggedRequest
from tests.simulations.replay.logs import EDGE, SPLIT, ended, made


def crossed(there_s: float, waited_s: float, cloud_s: float, replica: str = "a") -> LoggedRequest:
    return made(there_s - 0.1, SPLIT, ended(uplink_s=0.1, cloud_queue_s=waited_s, cloud_s=cloud_s, replica=replica))


def test_a_wait_behind_ones_own_requests_is_nobody_elses() -> None:
    history = cloud_history([crossed(1.0, 0.0, 0.5), crossed(1.1, 0.4, 0.5), crossed(3.0, 0.0, 0.5)])
    assert history.others_s == pytest.approx((0.0, 0.0, 0.0))
    assert history.replicas == 1


def test_what_is_longer_was_others_work_and_holds_for_who_comes_near() -> None:
    history = cloud_history([crossed(1.0, 0.2, 0.5), crossed(1.1, 0.7, 0.5), crossed(9.0, 0.0, 0.5)])
    assert history.others_s == pytest.approx((0.2, 0.1, 0.0))
    assert [history.wait_s(at_s) for at_s in (0.0, 1.04, 1.2, 8.0)] == pytest.approx([0.2, 0.2, 0.1, 0.0])


def test_replicas_that_answer_in_turns_are_queues_of_their_own() -> None:
    turns = [crossed(1.0 + n / 10, 0.0, 0.15, "ab"[n % 2]) for n in range(10)]
    history = cloud_history(turns)
    assert history.replicas == 2
    assert max(history.others_s) == 0.0


def test_what_ones_own_requests_do_elsewhere_explains_no_wait() -> None:
    history = cloud_history([crossed(1.0, 0.0, 0.5, "a"), crossed(1.1, 0.2, 0.5, "b")])
    assert history.others_s == pytest.approx((0.0, 0.2))


def test_where_nothing_crossed_nothing_waits() -> None:
    history = cloud_history([made(0.0, EDGE, ended(edge_s=0.1))])
    assert (history.replicas, history.wait_s(5.0)) == (1, 0.0)
