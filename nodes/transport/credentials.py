"""TLS for every port and every channel, from files that may be renewed while the node runs."""

from __future__ import annotations

from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from isthmus.errors import InvalidConfiguration
from isthmus.telemetry import get_logger
from nodes.tls_files import TlsFiles
from nodes.transport.channel_options import CHANNEL_OPTIONS
from nodes.transport.own_client import own_client

__all__ = ["open_channel", "own_channel", "served_certificate", "server_credentials"]


def open_channel(
    target: str,
    tls: TlsFiles | None = None,
    server_name: str = "",
    options: tuple[tuple[str, int], ...] = CHANNEL_OPTIONS,
) -> grpc.aio.Channel:
    """A channel to `target`, in clear without `tls`. server_name: expected in its certificate instead of the host.

    The files are read now: a channel made after a renewal shows the new certificate. Raises InvalidConfiguration
    naming the file that is not what it should be.
    """
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options)
    authority, chain, key = _Reader(tls, "tls").contents()
    credentials = grpc.ssl_channel_credentials(authority or None, key or None, chain or None)
    named = (("grpc.ssl_target_name_override", server_name),) if server_name else ()
    return grpc.aio.secure_channel(target, credentials, options=(*options, *named))


def served_certificate(tls: TlsFiles) -> x509.Certificate:
    """The one that a port with these files serves. Raises InvalidConfiguration naming a file that is not what it should
    be, as in the middle of a renewal, when a port goes on serving the one before."""
    reader = _Reader(tls, "tls")
    return reader.certificate("certificate", reader.contents()[1])


def own_channel(
    target: str, served: x509.Certificate | None, server_name: str, options: tuple[tuple[str, int], ...]
) -> grpc.aio.Channel:
    """A channel to a port of this process that serves that certificate, in clear without. server_name: expected in it,
    "" for a name that it holds.

    What is expected is the certificate itself, whoever signed it: `authority` is for those that this side talks to, and
    need not vouch for it.
    """
    if served is None:
        return grpc.aio.insecure_channel(target, options=options)
    own, pinned = own_client(), served.public_bytes(serialization.Encoding.PEM)
    credentials = grpc.ssl_channel_credentials(pinned, own.key, own.certificate)
    name = server_name or _certified_name(served)
    named = (("grpc.ssl_target_name_override", name),) if name else ()
    return grpc.aio.secure_channel(target, credentials, options=(*options, *named))


def _certified_name(certificate: x509.Certificate) -> str:
    """A host that it is for, "" where it names none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ""
    hosts = names.value.get_values_for_type(x509.DNSName)
    addresses = names.value.get_values_for_type(x509.IPAddress)
    return next((host.replace("*", "itself") for host in (*hosts, *map(str, addresses))), "")


def server_credentials(tls: TlsFiles, *, require_clients: bool, field: str) -> grpc.ServerCredentials:
    """For a server port; connections made after the files changed get the new certificate.

    require_clients: only clients whose certificate the authority signed get in (mutual TLS), and this process itself,
    by `own_channel`. Raises InvalidConfiguration under `field` for a file that is missing or not what it should be.
    """
    if not tls.certificate or not tls.key:
        raise InvalidConfiguration(field, "needs certificate and key to serve", remedy="make some with `isthmus certs`")
    if require_clients and not tls.authority:
        raise InvalidConfiguration(
            f"{field}.authority", "is needed to check clients", remedy="set it, or require_clients: false"
        )
    reader, besides = _Reader(tls, field), own_client().certificate if require_clients else b""
    reader.contents()  # raises naming the file at fault
    seen = reader.changed_at()  # before they are read: what is renewed meanwhile is read again
    serving = _server_configuration(reader.contents(), besides)

    def current() -> grpc.ServerCertificateConfiguration:
        """Called by gRPC for every connection."""
        nonlocal serving, seen
        try:
            now = reader.changed_at()
            if now != seen:
                serving, seen = _server_configuration(reader.contents(), besides), now
        except InvalidConfiguration as error:  # half of a renewal: the old pair still serves
            get_logger("tls").warning("certificate not renewed", reason=str(error))
        return serving

    return grpc.dynamic_ssl_server_credentials(serving, current, require_clients)


_Contents = tuple[bytes, bytes, bytes]


def _server_configuration(contents: _Contents, besides: bytes) -> grpc.ServerCertificateConfiguration:
    """besides: a certificate that is taken for an authority's, too."""
    authority, chain, key = contents
    trusted = b"\n".join(one for one in (authority, besides) if one)
    return grpc.ssl_server_certificate_configuration([(key, chain)], trusted or None)


class _Reader:
    """Reads and checks the files of one side; errors name the field and the file."""

    def __init__(self, tls: TlsFiles, field: str) -> None:
        self._tls = tls
        self._field = field

    def contents(self) -> _Contents:
        """Authority, certificate chain and key, b"" for those that are not given."""
        authority = self._read("authority", self._tls.authority)
        chain = self._read("certificate", self._tls.certificate)
        key = self._read("key", self._tls.key)
        if authority:
            self.certificate("authority", authority)
        if chain or key:
            self._check_pair(chain, key)
        return authority, chain, key

    def changed_at(self) -> tuple[int, ...]:
        """When each file was last written. Raises InvalidConfiguration for one that is not there."""
        try:
            return self._tls.changed_at()
        except OSError as error:
            raise InvalidConfiguration(self._field, f"cannot be read: {error.strerror}", value=error.filename) from None

    def _read(self, name: str, path: str) -> bytes:
        if not path:
            return b""
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise InvalidConfiguration(
                f"{self._field}.{name}", f"cannot be read: {error.strerror}", value=path, remedy="see `isthmus certs`"
            ) from None

    def certificate(self, name: str, data: bytes) -> x509.Certificate:
        """The first one in `data`."""
        try:
            return x509.load_pem_x509_certificates(data)[0]
        except ValueError:
            path = getattr(self._tls, name)
            raise InvalidConfiguration(f"{self._field}.{name}", "is not a PEM certificate", value=path) from None

    def _check_pair(self, chain: bytes, key: bytes) -> None:
        """gRPC itself says nothing of use about a key that does not fit."""
        try:
            private = serialization.load_pem_private_key(key, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InvalidConfiguration(
                f"{self._field}.key", "is not an unencrypted PEM key", value=self._tls.key
            ) from None
        if self.certificate("certificate", chain).public_key() != private.public_key():
            raise InvalidConfiguration(f"{self._field}.key", "does not belong to the certificate", value=self._tls.key)
