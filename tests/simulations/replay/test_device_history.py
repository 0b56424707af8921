"""What a log shows of both sides' compute, and what a request would have taken by another plan."""

from __future__ import annotations

from typing import Any

import pytest

from simulations.replay.device_history import device_history
from simulations.replay.logged_request import LoggedRequest
from tests.simulations.replay.logs import EDGE, FILE, SPLIT, ended, made


def split(came_s: float, edge_s: float, cloud_s: float = 0.01, **stages: Any) -> LoggedRequest:
    return made(came_s, SPLIT, ended(edge_s=edge_s, uplink_s=0.05, cloud_s=cloud_s, wire_bytes=94_000, **stages))


def test_by_the_plan_that_ran_a_request_takes_what_it_took() -> None:
    requests = [split(0.0, 0.045, 0.012), split(1.0, 0.030)]
    device = device_history(requests)
    assert device.edge_s(requests[0], SPLIT) == 0.045
    assert device.cloud_s(requests[0], SPLIT) == 0.012
    assert device.uplink_bytes(requests[0], SPLIT) == 90_000  # 4 kB of these came back
    assert device.uplink_bytes(requests[0], FILE) == 200_000


def test_by_another_plan_it_takes_that_plans_costs_as_far_off_as_usual_and_as_slow_as_the_moment() -> None:
    # The split usually takes 1.5 of its costs, edge-only 2.0; the third request came in a moment twice as slow.
    slow = split(2.0, 0.090)
    requests = [split(0.0, 0.045), split(1.0, 0.045), slow, made(3.0, EDGE, ended(edge_s=0.2))]
    device = device_history(requests)
    assert device.edge_s(slow, EDGE) == pytest.approx(0.1 * 2.0 * 2.0)
    assert device.edge_s(requests[0], EDGE) == pytest.approx(0.1 * 2.0)


def test_a_plan_that_never_ran_is_as_far_off_as_the_others() -> None:
    requests = [split(0.0, 0.045), split(1.0, 0.045)]
    assert device_history(requests).edge_s(requests[0], EDGE) == pytest.approx(0.15)


def test_a_request_whose_file_crossed_borrows_the_moment_from_its_neighbours() -> None:
    crossed = made(2.5, FILE, ended(uplink_s=0.1, cloud_s=0.02, wire_bytes=204_000))
    near = [split(2.505 + n / 100, 0.03 + n / 1000) for n in range(-3, 4)]
    requests = [*[split(n / 10, 0.08) for n in range(9)], *near, crossed, *[split(9.0, 0.08)] * 9]
    device = device_history(sorted(requests, key=lambda one: one.asked.came_s))
    assert any(device.edge_s(crossed, SPLIT) == pytest.approx(0.03 + n / 1000) for n in range(-3, 4))


def test_a_short_stage_gives_no_ratio() -> None:
    requests = [split(0.0, 0.03, cloud_s=0.001), split(1.0, 0.03, cloud_s=0.001)]
    assert device_history(requests).cloud_s(requests[0], FILE) == pytest.approx(0.02)


def test_what_the_edge_finished_says_nothing_of_a_prefix() -> None:
    resumed = made(5.0, SPLIT, ended(edge_s=0.11, uplink_s=1.0, wire_bytes=100_000, finished_by="edge"))
    device = device_history([split(0.0, 0.03), resumed])
    assert device.edge_s(resumed, SPLIT) == pytest.approx(0.03)


def test_hand_overs_are_what_requests_that_were_alone_waited() -> None:
    together = [split(5.0, 0.03, edge_queue_s=0.5), split(5.1, 0.03, edge_queue_s=0.6)]
    requests = [split(0.0, 0.03, edge_queue_s=0.002), split(1.0, 0.03, edge_queue_s=0.004), *together]
    device = device_history(requests)
    assert device.besides(SPLIT) == pytest.approx(0.003)
    assert device.besides(EDGE) == pytest.approx(0.003)
