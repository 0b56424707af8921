"""What an edge believes while the registry comes and goes."""

from __future__ import annotations

from nodes.fleet import Endpoint, FleetView, Replica
from nodes.view_keeper import ViewKeeper

A, B = (Replica(name, Endpoint(f"{name}:9000")) for name in "ab")


def keeper_that_saw(*replicas: Replica) -> ViewKeeper:
    keeper = ViewKeeper(grace_s=5.0)
    keeper.opened(0.0)
    keeper.received(FleetView(7, replicas), 0.0)
    return keeper


def test_a_view_is_believed_as_it_is() -> None:
    keeper = keeper_that_saw(A, B)
    assert keeper.received(FleetView(8, (A,)), 1.0) == FleetView(8, (A,))
    assert keeper.settles_in_s(1.0) is None


def test_a_registry_that_starts_empty_takes_nothing_away_at_once() -> None:
    keeper = keeper_that_saw(A, B)
    keeper.opened(10.0)
    assert keeper.received(FleetView(0), 10.0) == FleetView(0, (A, B))
    assert keeper.settles_in_s(11.0) == 4.0


def test_replicas_that_do_not_come_back_are_let_go_after_the_grace() -> None:
    keeper = keeper_that_saw(A, B)
    keeper.opened(10.0)
    assert keeper.received(FleetView(1, (B,)), 10.0).replicas == (A, B)
    assert keeper.view(15.0).replicas == (B,)
    assert keeper.settled() == FleetView(1, (B,))


def test_a_replica_that_came_back_and_left_is_gone_at_once() -> None:
    keeper = keeper_that_saw(A)
    keeper.opened(10.0)
    keeper.received(FleetView(1, (A,)), 10.0)
    assert keeper.received(FleetView(2), 10.1) == FleetView(2)


def test_a_replica_that_came_back_elsewhere_is_listed_once() -> None:
    keeper = keeper_that_saw(A)
    keeper.opened(10.0)
    moved = A.at("elsewhere:1")
    assert keeper.received(FleetView(1, (moved,)), 10.0).replicas == (moved,)


def test_a_registry_that_dies_within_the_grace_and_comes_back_long_after_takes_nothing_away() -> None:
    keeper = keeper_that_saw(A, B)
    for now_s in (10.0, 300.0):
        keeper.opened(now_s)
        assert keeper.received(FleetView(0), now_s).replicas == (A, B)
    keeper.settled()
    keeper.opened(600.0)
    assert keeper.received(FleetView(0), 600.0).replicas == ()


def test_a_second_restart_within_the_grace_still_takes_nothing_away() -> None:
    keeper = keeper_that_saw(A, B)
    for now_s in (10.0, 12.0):
        keeper.opened(now_s)
        assert keeper.received(FleetView(0), now_s).replicas == (A, B)
