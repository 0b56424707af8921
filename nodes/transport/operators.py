"""Who may change what a node serves: whoever reaches it over loopback. Anyone else only asks."""

from __future__ import annotations

import ipaddress
import urllib.parse
from typing import Protocol

from isthmus.errors import PermissionDenied

__all__ = ["Call", "check_operator", "is_local"]


class Call(Protocol):
    """What is asked of a call here."""

    def peer(self) -> str:
        """Who calls, as gRPC names it."""


def check_operator(context: Call, what: str) -> None:
    """Raises PermissionDenied naming `what` unless the caller is on this machine."""
    if not is_local(context.peer()):
        raise PermissionDenied(f"{what} is allowed from this machine only; use its loopback address")


def is_local(peer: str) -> bool:
    """Whether a peer, as gRPC names it ("ipv4:127.0.0.1:4711", "ipv6:%5B::1%5D:4711", "unix:"), is on this machine."""
    scheme, _, rest = peer.partition(":")
    if scheme == "unix":
        return True
    host = urllib.parse.unquote(rest).rpartition(":")[0].strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
