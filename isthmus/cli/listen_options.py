"""The options of every command that listens by itself, without TLS: on loopback, or where told that it is known."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.addresses import is_loopback, parse_address
from isthmus.errors import InvalidConfiguration

__all__ = ["Insecure", "listen_address"]

Insecure = Annotated[
    bool, typer.Option("--insecure", help="Listen beyond this machine, in clear: whoever reaches the port gets in.")
]


def listen_address(text: str, field: str, *, insecure: bool) -> tuple[str, int]:
    """Host and port to listen on. Raises InvalidConfiguration naming `field` for what is no address, and for one that
    other machines reach unless `insecure`: as a configuration's, but these commands have no TLS."""
    address = parse_address(text, field)
    if not insecure and not is_loopback(text):
        remedy = "listen on 127.0.0.1 (and reach it through a tunnel), or add --insecure"
        raise InvalidConfiguration(field, "is reached from other machines, without TLS", value=text, remedy=remedy)
    return address
