"""A certificate authority for development, and the certificates it signs: enough to run both sides with mutual TLS.

X.509 version 3 by RFC 5280 on the curve P-256. Whoever has an authority that hands out certificates should use that.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from isthmus.errors import InvalidConfiguration

__all__ = ["AUTHORITY", "ROLES", "is_host", "issue_certificates"]

AUTHORITY = "authority"
ROLES = ("edge", "cloud", "client")
_AUTHORITY_DAYS = 3650
# Labels of letters, digits and hyphens (RFC 1123), the first one perhaps a wildcard.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
# A clock that is a little behind must not find a fresh certificate not valid yet.
_BACKDATED = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def issue_certificates(folder: Path, hosts: Sequence[str], days: int) -> tuple[Path, ...]:
    """Write `authority.pem` and, for each role, `ROLE.pem` and `ROLE.key` into `folder`; returns what was written.

    hosts: names and addresses that the certificates are for. An authority that is there already signs; certificates
    are made anew, which renews them. Raises InvalidConfiguration for a host or files of an authority that are none, and
    for a folder that cannot be written to.
    """
    names = [_general_name(host) for host in hosts]
    authority_files = (folder / f"{AUTHORITY}.pem", folder / f"{AUTHORITY}.key")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written: list[Path] = []
        if any(path.exists() for path in authority_files):
            authority = _read_pair(*authority_files)
        else:
            authority = _new_authority()
            written += _write_pair(authority, *authority_files)
        for role in ROLES:
            pair = _signed(role, names, days, authority)
            written += _write_pair(pair, folder / f"{role}.pem", folder / f"{role}.key")
    except OSError as error:
        raise InvalidConfiguration(str(folder), f"cannot be written to: {error.strerror}") from None
    return tuple(written)


def is_host(name: str) -> bool:
    """Whether it is a name or an address that a certificate can be for."""
    try:
        _general_name(name)
    except InvalidConfiguration:
        return False
    return True


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if _NAME.fullmatch(host):
        return x509.DNSName(host)
    raise InvalidConfiguration("--host", "is neither a name nor an address", value=host, remedy="like edge.example")


def _new_authority() -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("Isthmus development authority")
    builder = _builder(name, name, key.public_key(), _AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return _Pair(builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256()), key)


def _signed(role: str, hosts: Sequence[x509.GeneralName], days: int, authority: _Pair) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_named(f"isthmus {role}"), authority.certificate.subject, key.public_key(), days)
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage(both), False),
        (x509.SubjectAlternativeName(hosts), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), False),
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read_pair(certificate: Path, key: Path) -> _Pair:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidConfiguration(
            str(certificate.parent), f"has half of an authority: {error}", remedy="choose an empty folder"
        ) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or found.public_key() != private.public_key():
        raise InvalidConfiguration(str(key), "does not belong to the authority", remedy="choose an empty folder")
    return _Pair(found, private)


def _write_pair(pair: _Pair, certificate: Path, key: Path) -> tuple[Path, Path]:
    encoding = serialization.Encoding.PEM
    private = pair.key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(key, private, 0o600)
    _write(certificate, pair.certificate.public_bytes(encoding), 0o644)
    return certificate, key


def _write(path: Path, data: bytes, mode: int) -> None:
    """At once and never readable by others in between: a running node may look at any moment."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    fresh.replace(path)
