"""The version of the segment stream, exchanged in the handshake."""

from __future__ import annotations

from isthmus.errors import RemoteProtocolError

__all__ = ["ACK_MINOR", "MORE_TENSORS_MINOR", "PROTOCOL_MAJOR", "PROTOCOL_MINOR", "check_version"]

PROTOCOL_MAJOR = 2
PROTOCOL_MINOR = 5
ACK_MINOR = 2
"""From this minor version on an end acknowledges the bytes that arrive."""
MORE_TENSORS_MINOR = 3
"""From this minor version on a request's header may leave before all of its tensors are made."""


def check_version(major: int, minor: int) -> None:
    """Refuse a peer of another major version; any minor version is spoken. Raises RemoteProtocolError."""
    if major != PROTOCOL_MAJOR:
        raise RemoteProtocolError(
            f"protocol version: the peer speaks {major}.{minor}, this side {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}; "
            "upgrade the older side"
        )
