"""`isthmus certs`: certificates for development."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["certs"]

_HERE = ("localhost", "127.0.0.1", "::1")


def certs(
    folder: Annotated[Path, typer.Argument(help="Where to write; an authority that is there already signs.")],
    host: Annotated[
        list[str] | None, typer.Option(help="A name or address of the machines, besides this one. May be repeated.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the certificates are valid.")] = 90,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a certificate authority and certificates for edge, cloud and clients: for development.

    Run again, it renews the certificates with the same authority; running nodes take them up by themselves.
    """
    from isthmus.certificates import is_host, issue_certificates

    own = socket.gethostname()
    # A machine may have a name that no certificate can be for, as one with an underscore.
    hosts = list(dict.fromkeys((*_HERE, *([own] if is_host(own) else ()), *(host or ()))))
    written = issue_certificates(folder, hosts, days)
    if as_json:
        print(json.dumps({"hosts": hosts, "days": days, "files": [str(path) for path in written]}))
        return
    for path in written:
        print(path)
    print(f"valid for {days} days, for {', '.join(hosts)}; put this into the configuration:")
    for side in ("edge", "cloud"):
        files = ", ".join(f"{key}: {folder / name}" for key, name in _keys(side))
        print(f"{side}: {{tls: {{{files}}}}}")


def _keys(side: str) -> tuple[tuple[str, str], ...]:
    return ("certificate", f"{side}.pem"), ("key", f"{side}.key"), ("authority", "authority.pem")
