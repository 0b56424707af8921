"""What a replica that listens everywhere tells edges to dial."""

from __future__ import annotations

import pytest

from nodes.outward_address import outward_address


@pytest.mark.parametrize(
    ("bound", "peer", "told"),
    [
        ("127.0.0.1:9000", "192.0.2.1:8100", "127.0.0.1:9000"),
        ("cloud.example:9000", "127.0.0.1:8100", "cloud.example:9000"),
        ("0.0.0.0:9000", "127.0.0.1:8100", "127.0.0.1:9000"),
        ("[::]:9000", "127.0.0.1:8100", "127.0.0.1:9000"),
        ("0.0.0.0:9000", "no-such-host.invalid:8100", "0.0.0.0:9000"),
    ],
)
def test_of_every_address_the_one_that_the_registry_sees_is_told(bound: str, peer: str, told: str) -> None:
    assert outward_address(bound, peer) == told
