"""Network addresses as people write them: "HOST:PORT"."""

from __future__ import annotations

import ipaddress

from isthmus.errors import InvalidConfiguration

__all__ = ["EVERYWHERE", "format_address", "is_loopback", "parse_address"]

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Hosts that a port is bound to for every address of a machine, and where that machine itself reaches it."""

_HIGHEST_PORT = 65535


def parse_address(text: str, field: str = "address") -> tuple[str, int]:
    """Host and port of "127.0.0.1:8001", "edge.example:8001" or "[::1]:8001". Port 0 means "any free one".

    Raises InvalidConfiguration naming `field`.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host:
        raise _invalid(text, field, "is not an address")
    if not port.isascii() or not port.isdigit() or int(port) > _HIGHEST_PORT:
        raise _invalid(text, field, f"has no port from 0 to {_HIGHEST_PORT} after its last colon")
    return _bare_host(host, text, field), int(port)


def format_address(host: str, port: int) -> str:
    """The text form of an address, IPv6 hosts in brackets: what `parse_address` reads."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address` ("127.0.0.1:8001", "localhost:8001", "[::1]:0")."""
    host, _ = parse_address(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: only this one is bound to loopback by every system
        return host == "localhost"


def _bare_host(host: str, text: str, field: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _invalid(text, field, "has an IPv6 host without brackets")
    if not host or any(character.isspace() or character in "[]/" for character in host):
        raise _invalid(text, field, "has a host that is not one")
    return host


def _invalid(text: str, field: str, problem: str) -> InvalidConfiguration:
    return InvalidConfiguration(field, problem, value=text, remedy="write it like 127.0.0.1:8001")
