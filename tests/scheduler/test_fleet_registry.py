"""Leases that run out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from isthmus.errors import InvalidConfiguration, InvalidRequest, Overloaded
from nodes.fleet import Endpoint, ModelVersion, Replica
from scheduler.fleet_registry import FleetRegistry

LEASE_S = 3.0


def replica(replica_id: str = "a", target: str = "10.0.0.1:9000", **facts: object) -> Replica:
    return Replica(replica_id, Endpoint(target), **facts)  # type: ignore[arg-type]


def test_a_registered_replica_is_in_the_view() -> None:
    registry = FleetRegistry(LEASE_S)
    assert registry.register(replica(models=(ModelVersion("net", "d"),)), 0.0) == LEASE_S
    assert registry.view().replicas == (replica(models=(ModelVersion("net", "d"),)),)


def test_without_heartbeats_a_lease_runs_out() -> None:
    registry = FleetRegistry(LEASE_S)
    registry.register(replica(), 10.0)
    assert registry.next_expiry_s() == 13.0
    assert registry.expire(12.99) == ()
    assert registry.expire(13.0) == ("a",)
    assert registry.view().replicas == ()
    assert registry.next_expiry_s() is None


@given(st.lists(st.floats(0.01, LEASE_S - 0.001), max_size=30))
def test_heartbeats_within_the_lease_keep_it(gaps_s: list[float]) -> None:
    registry = FleetRegistry(LEASE_S)
    now_s = 0.0
    registry.register(replica(), now_s)
    for gap_s in gaps_s:
        now_s += gap_s
        assert registry.heartbeat("a", False, now_s)
    assert registry.view().version == 1


def test_a_heartbeat_after_the_lease_is_not_known() -> None:
    registry = FleetRegistry(LEASE_S)
    registry.register(replica(), 0.0)
    assert not registry.heartbeat("a", False, LEASE_S)
    assert not FleetRegistry(LEASE_S).heartbeat("a", False, 0.0)


def test_draining_changes_the_view_once() -> None:
    registry = FleetRegistry(LEASE_S)
    registry.register(replica(), 0.0)
    for now_s in (1.0, 2.0):
        registry.heartbeat("a", True, now_s)
    assert registry.view().version == 2
    assert registry.view().serving == ()
    assert registry.view().replicas[0].draining


def test_leaving_takes_effect_at_once() -> None:
    registry = FleetRegistry(LEASE_S)
    registry.register(replica(), 0.0)
    assert registry.leave("a", 1.0)
    assert not registry.leave("a", 1.0)
    assert registry.view().replicas == ()
    assert registry.view().version == 2


def test_registering_again_moves_the_endpoint() -> None:
    registry = FleetRegistry(LEASE_S)
    registry.register(replica(), 0.0)
    registry.register(replica(), 1.0)
    registry.register(replica(target="10.0.0.2:9000"), 2.0)
    assert [one.endpoint.target for one in registry.view().replicas] == ["10.0.0.2:9000"]
    assert registry.view().version == 2


def test_a_full_registry_still_knows_its_own() -> None:
    registry = FleetRegistry(LEASE_S, max_replicas=1)
    registry.register(replica("a"), 0.0)
    with pytest.raises(Overloaded):
        registry.register(replica("b"), 0.0)
    registry.register(replica("a"), 1.0)
    registry.register(replica("b"), 10.0)


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (replica(""), "replica_id"),
        (replica(target=""), "endpoint.target"),
        (replica("a" * 513), "replica_id"),
        (replica(models=(ModelVersion("m", "d"),) * 257), "models"),
        (Replica("a", Endpoint("t:1", (("k", "v"),) * 33)), "endpoint.metadata"),
    ],
)
def test_a_claim_that_is_none_changes_nothing(bad: Replica, field: str) -> None:
    registry = FleetRegistry(LEASE_S)
    with pytest.raises(InvalidRequest, match=field):
        registry.register(bad, 0.0)
    assert registry.view().version == 0


@pytest.mark.parametrize("lease_s", [0.0, -1.0, math.nan, math.inf])
def test_a_lease_must_be_a_time(lease_s: float) -> None:
    with pytest.raises(InvalidConfiguration):
        FleetRegistry(lease_s)


class RegistryMachine(RuleBasedStateMachine):
    """Any history against a model: id -> (draining, expires). The version grows by one when the view changes."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = FleetRegistry(LEASE_S)
        self.now_s = 0.0
        self.model: dict[str, tuple[bool, float]] = {}
        self.before = self.registry.view()

    @rule(step_s=st.floats(0, 4))
    def time_passes(self, step_s: float) -> None:
        self.now_s += step_s
        self.model = {key: lease for key, lease in self.model.items() if lease[1] > self.now_s}
        self.registry.expire(self.now_s)

    @rule(key=st.sampled_from("abc"), draining=st.booleans())
    def register(self, key: str, draining: bool) -> None:
        self.registry.register(replica(key, draining=draining), self.now_s)
        self.model[key] = (draining, self.now_s + LEASE_S)

    @rule(key=st.sampled_from("abc"), draining=st.booleans())
    def heartbeat(self, key: str, draining: bool) -> None:
        assert self.registry.heartbeat(key, draining, self.now_s) == (key in self.model)
        if key in self.model:
            self.model[key] = (draining, self.now_s + LEASE_S)

    @rule(key=st.sampled_from("abc"))
    def leave(self, key: str) -> None:
        assert self.registry.leave(key, self.now_s) == (self.model.pop(key, None) is not None)

    @invariant()
    def the_view_is_the_model(self) -> None:
        view = self.registry.view()
        assert {one.replica_id: one.draining for one in view.replicas} == {k: v[0] for k, v in self.model.items()}
        assert view.version == self.before.version + (view.replicas != self.before.replicas)
        self.before = view


TestRegistryMachine = RegistryMachine.TestCase
