"""The version of the segment stream, exchanged in the handshake."""

from __future__ import annotations

from isthmus.errors import RemoteProtocolError

__all__ = ["PROTOCOL_MAJOR", "PROTOCOL_MINOR", "check_version"]

PROTOCOL_MAJOR = 2
PROTOCOL_MINOR = 2


def check_version(major: int, minor: int) -> None:
    """Refuse a peer of another major version; any minor version is spoken. Raises RemoteProtocolError."""
    if major != PROTOCOL_MAJOR:
        raise RemoteProtocolError(
            f"protocol version: the peer speaks {major}.{minor}, this side {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}; "
            "upgrade the older side"
        )
