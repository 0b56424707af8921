"""The TLS of a node's HTTP ports, from the files of its other ports; what is renewed is shown to the next client."""

from __future__ import annotations

import ssl

from isthmus.errors import InvalidConfiguration
from isthmus.telemetry import get_logger
from nodes.tls_files import TlsFiles

__all__ = ["TlsContext"]


class TlsContext:
    """`current()` for every connection."""

    def __init__(self, tls: TlsFiles, *, require_clients: bool, field: str) -> None:
        """require_clients: only clients whose certificate the authority signed get in. field: of the configuration.

        Raises InvalidConfiguration for files that are not what they should be.
        """
        self._tls, self._require_clients = tls, require_clients
        try:
            self._seen, self._context = self._tls.changed_at(), self._made()
        except (OSError, ssl.SSLError) as error:
            remedy = "make some with `isthmus certs`"
            raise InvalidConfiguration(f"{field}.tls", f"cannot be served with: {error}", remedy=remedy) from error

    def current(self) -> ssl.SSLContext:
        """Of the files as they are now; half of a renewal leaves the old pair serving."""
        try:
            changed_at = self._tls.changed_at()
            if changed_at != self._seen:
                self._context, self._seen = self._made(), changed_at
        except (OSError, ssl.SSLError) as error:
            get_logger("tls").warning("certificate not renewed", reason=str(error))
        return self._context

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Without a password OpenSSL asks the terminal for one, in the middle of a connection.
        context.load_cert_chain(self._tls.certificate, self._tls.key, password=lambda: b"")
        if self._require_clients:
            context.load_verify_locations(self._tls.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
