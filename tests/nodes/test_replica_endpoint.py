"""Where edges are told to reach a replica."""

from __future__ import annotations

from dataclasses import replace

from nodes.fleet import Endpoint
from nodes.replica_endpoint import replica_endpoint
from nodes.settings import CloudSettings

OWN = CloudSettings((), "127.0.0.1:0", "127.0.0.1:8100")
BOUND = "127.0.0.1:9000"


def test_direct_is_where_it_listens_unless_told_otherwise() -> None:
    assert replica_endpoint(OWN, "r1", BOUND) == Endpoint(BOUND)
    assert replica_endpoint(replace(OWN, advertise="pub:1"), "r1", BOUND) == Endpoint("pub:1")


def test_routed_carries_its_own_address_and_id_in_the_metadata() -> None:
    settings = replace(OWN, advertise="pub:1", route={"z": "{address}", "a": "to {replica}", "m": "all"})
    metadata = (("a", "to r1"), ("m", "all"), ("z", BOUND))
    assert replica_endpoint(settings, "r1", BOUND) == Endpoint("pub:1", metadata)


def test_blind_says_after_how_long_to_dial_anew_and_settings_cross_process_borders() -> None:
    settings = CloudSettings.from_json(replace(OWN, advertise="pub:1", connection_age_s=300.0, route={}).to_json())
    assert replica_endpoint(settings, "r1", BOUND) == Endpoint("pub:1", blind_age_s=300.0)
