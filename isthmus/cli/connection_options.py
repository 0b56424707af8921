"""The options of every command that talks to a running edge or cloud: where an edge listens, and the certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.errors import InvalidConfiguration

if TYPE_CHECKING:
    from nodes.tls_files import TlsFiles

__all__ = ["DEFAULT_SERVER", "Authority", "Certificate", "Key", "Server", "tls_files"]

DEFAULT_SERVER = "127.0.0.1:8001"
Server = Annotated[str, typer.Option(help="HOST:PORT of the edge.")]
Authority = Annotated[str, typer.Option("--tls-authority", help="PEM file; ask over TLS, trusting what it signed.")]
Certificate = Annotated[
    str, typer.Option("--tls-certificate", help="PEM file to show, where the other side asks for one.")
]
Key = Annotated[str, typer.Option("--tls-key", help="PEM file, the key of --tls-certificate.")]


def tls_files(authority: str, certificate: str, key: str) -> TlsFiles | None:
    """What those options name, None for a connection in clear: when none is given.

    Raises InvalidConfiguration for a certificate without its key, or a key without its certificate.
    """
    from nodes.tls_files import TlsFiles

    if not (authority or certificate or key):
        return None
    if not (certificate and key) and (certificate or key):
        missing = "--tls-key" if certificate else "--tls-certificate"
        raise InvalidConfiguration(missing, "is missing", remedy="give both the certificate and its key")
    return TlsFiles(authority, certificate, key)
