"""What lies in the TLS files of one side."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from nodes.tls_files import TlsFiles

__all__ = ["CertificateFacts", "TlsFacts", "tls_facts"]


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """names: DNS names and addresses that it is for. A certificate of an authority has none."""

    path: str
    not_before: dt.datetime
    not_after: dt.datetime
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """faults: files that cannot be read or are not what they should be, by path. key_mode: permission bits, None where
    the key is not there. key_fits: it belongs to the certificate. signed: one certificate of the authority's file
    signed the chain; both None where that cannot be told."""

    faults: dict[str, str]
    certificate: CertificateFacts | None
    authorities: tuple[CertificateFacts, ...]
    key_path: str
    key_mode: int | None
    key_fits: bool | None
    signed: bool | None


def tls_facts(files: TlsFiles) -> TlsFacts:
    """Read them. Nothing raises: what is wrong is a fact."""
    faults: dict[str, str] = {}
    chain = _certificates(files.certificate, faults)
    authorities = _certificates(files.authority, faults) if files.authority else []
    public = _public_key(files.key, faults)
    signed = any(_signed(one, by) for one in chain for by in authorities) if chain and authorities else None
    return TlsFacts(
        faults,
        _facts(files.certificate, chain[0]) if chain else None,
        tuple(_facts(files.authority, one) for one in authorities),
        files.key,
        _mode(files.key),
        None if public is None or not chain else public == _pem(chain[0]),
        signed,
    )


def _certificates(path: str, faults: dict[str, str]) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except OSError as error:
        faults[path] = f"cannot be read: {error.strerror}"
    except ValueError:
        faults[path] = "is not a PEM certificate"
    return []


def _public_key(path: str, faults: dict[str, str]) -> bytes | None:
    try:
        private = serialization.load_pem_private_key(Path(path).read_bytes(), None)
    except OSError as error:
        faults[path] = f"cannot be read: {error.strerror}"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        faults[path] = "is not an unencrypted PEM key"
    else:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return private.public_key().public_bytes(serialization.Encoding.PEM, form)
    return None


def _pem(certificate: x509.Certificate) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(serialization.Encoding.PEM, form)


def _mode(path: str) -> int | None:
    try:
        return Path(path).stat().st_mode & 0o777
    except OSError:
        return None


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _facts(path: str, certificate: x509.Certificate) -> CertificateFacts:
    return CertificateFacts(
        path, certificate.not_valid_before_utc, certificate.not_valid_after_utc, _names(certificate)
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    names = found.get_values_for_type(x509.DNSName)
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = [
        one for one in found.get_values_for_type(x509.IPAddress)
        if isinstance(one, ipaddress.IPv4Address | ipaddress.IPv6Address)
    ]  # fmt: skip
    return (*names, *map(str, addresses))
