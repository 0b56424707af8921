"""The version of the segment stream, exchanged in the handshake."""

from __future__ import annotations

from isthmus.errors import RemoteProtocolError

__all__ = ["ACK_MINOR", "PIECES_MINOR", "PROTOCOL_MAJOR", "PROTOCOL_MINOR", "check_version"]

PROTOCOL_MAJOR = 2
PROTOCOL_MINOR = 6
ACK_MINOR = 2
"""From this minor version on an end acknowledges the bytes that arrive."""
PIECES_MINOR = 6
"""From this minor version on a request's header leaves before all of its tensors are made, and a tensor may come in
pieces. From 2.3 on replicas take whole tensors one after the other; edges of now send them all at once."""


def check_version(major: int, minor: int) -> None:
    """Refuse a peer of another major version; any minor version is spoken. Raises RemoteProtocolError."""
    if major != PROTOCOL_MAJOR:
        raise RemoteProtocolError(
            f"protocol version: the peer speaks {major}.{minor}, this side {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}; "
            "upgrade the older side"
        )
