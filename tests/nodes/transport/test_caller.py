"""Whose a request is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from nodes.transport.caller import caller_of


@dataclass
class Call:
    where: str
    told: Mapping[str, Iterable[bytes]] = field(default_factory=dict)

    def peer(self) -> str:
        return self.where

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return self.told


@pytest.mark.parametrize("where", ["ipv4:10.0.0.7:4711", "ipv4:10.0.0.7:4712"])
def test_all_connections_of_a_host_are_one_client(where: str) -> None:
    assert caller_of(Call(where)).client("") == "address 10.0.0.7"


def test_a_certificate_is_whose_it_says_whatever_the_request_says() -> None:
    call = Call("ipv6:%5B::1%5D:4711", {"x509_common_name": [b"camera"]})
    assert caller_of(call).client("somebody else") == "certificate camera"


def test_without_a_certificate_a_request_may_say_whose_it_is_but_take_nobodys_name() -> None:
    caller = caller_of(Call("ipv6:%5B::1%5D:4711"))
    assert caller.client("certificate camera") == "parameter certificate camera"
    assert caller.client("") == "address [::1]"
