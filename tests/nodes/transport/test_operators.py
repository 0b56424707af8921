"""Who may load and unload models."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import PermissionDenied, grpc_status_name
from nodes.transport.operators import check_operator, is_local


@pytest.mark.parametrize(
    "peer",
    ["ipv4:127.0.0.1:4711", "ipv4:127.8.9.10:1", "ipv6:%5B::1%5D:4711", "ipv6:[::1]:4711", "unix:", "unix:/run/edge",
     "ipv6:%5B::ffff:127.0.0.1%5D:4711"],
)  # fmt: skip
def test_this_machine_is_local(peer: str) -> None:
    assert is_local(peer)


@pytest.mark.parametrize(
    "peer",
    ["ipv4:10.0.0.1:4711", "ipv6:%5Bfe80::1%2525eth0%5D:1", "ipv6:%5B::ffff:10.0.0.1%5D:1", "vsock:2:1", "", "ipv4:"],
)
def test_any_other_is_not(peer: str) -> None:
    assert not is_local(peer)


@given(st.ip_addresses(v=4), st.integers(0, 65535))
def test_an_address_is_local_if_it_is_loopback(address: IPv4Address, port: int) -> None:
    assert is_local(f"ipv4:{address}:{port}") == address.is_loopback


@given(st.text(max_size=30))
def test_no_text_breaks_it(peer: str) -> None:
    assert is_local(peer) in (True, False)


class CallFrom:
    """A call's context, as far as it says who calls."""

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def peer(self) -> str:
        return self._peer


def test_a_stranger_is_told_what_is_not_allowed_and_from_where_it_is() -> None:
    check_operator(CallFrom("ipv4:127.0.0.1:1"), "unloading a model")
    with pytest.raises(PermissionDenied, match=r"unloading a model is allowed from this machine only") as caught:
        check_operator(CallFrom("ipv4:10.0.0.1:1"), "unloading a model")
    assert grpc_status_name(caught.value) == "PERMISSION_DENIED"
