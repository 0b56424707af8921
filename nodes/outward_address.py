"""The address under which others reach a port that is bound on every address of this machine."""

from __future__ import annotations

import socket

from isthmus.addresses import EVERYWHERE, format_address, parse_address

__all__ = ["outward_address"]


def outward_address(bound: str, peer: str) -> str:
    """`bound` itself, unless it is bound everywhere: then with the address from which this machine reaches `peer`.

    Nothing is sent: a datagram socket that is connected only asks the routing table. Where that knows no way, the
    answer is `bound`.
    """
    host, port = parse_address(bound)
    if host not in EVERYWHERE:
        return bound
    try:
        family, kind, _, _, where = socket.getaddrinfo(*parse_address(peer), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as asked:
            asked.connect(where)
            return format_address(asked.getsockname()[0], port)
    except OSError:
        return bound
