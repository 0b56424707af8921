"""Whether the TLS files of one side will do, today and for the addresses under which it is dialled. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from isthmus.doctor.finding import Finding, fail, ok, warn
from isthmus.doctor.tls_facts import CertificateFacts, TlsFacts

__all__ = ["check_tls"]

_SOON = dt.timedelta(days=14)
_RENEW = "renew it (`isthmus certs` again, for development); running nodes take the new one up"


def check_tls(side: str, facts: TlsFacts, dialled: Mapping[str, str], now: dt.datetime) -> Iterator[Finding]:
    """dialled: what others expect in its certificate, host by configuration key."""
    name = f"{side} TLS"
    for path, fault in facts.faults.items():
        yield fail(f"{name} file", f"{path} {fault}", f"give the node's user a file that it can read in {side}.tls")
    for certificate in (facts.certificate, *facts.authorities):
        if certificate is not None:
            yield _validity(name, certificate, now)
    if facts.certificate is not None:
        yield from _names(name, side, facts.certificate, dialled)
    if facts.key_fits is False:
        yield fail(
            f"{name} key", "does not belong to the certificate", f"set {side}.tls.key to the one it was made with"
        )
    if facts.key_mode is not None:
        yield _mode(name, facts.key_path, facts.key_mode)
    if facts.signed is False:
        message = "its own certificate is not signed by its authority: peers that trust the same file refuse it"
        yield warn(f"{name} authority", message, "have both sides' certificates signed by one authority")


def _validity(name: str, certificate: CertificateFacts, now: dt.datetime) -> Finding:
    check, until = f"{name} expiry", f"{certificate.not_after:%Y-%m-%d %H:%M} UTC"
    if certificate.not_after <= now:
        return fail(check, f"{certificate.path} ended {until}", _RENEW)
    if certificate.not_before > now:
        since = f"{certificate.not_before:%Y-%m-%d %H:%M} UTC"
        return fail(check, f"{certificate.path} begins {since}", "see whether this machine's clock is right")
    if certificate.not_after - now < _SOON:
        return warn(check, f"{certificate.path} ends {until}", _RENEW)
    return ok(check, f"{certificate.path} is valid until {until}")


def _names(name: str, side: str, certificate: CertificateFacts, dialled: Mapping[str, str]) -> Iterator[Finding]:
    said = ", ".join(certificate.names) or "no name at all"
    missed = {key: host for key, host in dialled.items() if not _covers(certificate.names, host)}
    for key, host in missed.items():
        remedy = f"make it for that host (`isthmus certs FOLDER --host {host}`), or set cloud.tls.server_name"
        yield fail(f"{name} names", f"{key} is dialled as {host}, the certificate is for {said}", remedy)
    if not missed:
        yield ok(f"{name} names", f"{side}'s certificate is for {said}")


def _covers(names: tuple[str, ...], host: str) -> bool:
    """RFC 6125: whole names, and one leading wildcard label."""
    wanted = host.lower().rstrip(".")
    rest = wanted.partition(".")[2]
    return any(one.lower() == wanted or (rest and one.lower() == f"*.{rest}") for one in names)


def _mode(name: str, path: str, mode: int) -> Finding:
    if mode & 0o077:
        return warn(f"{name} key", f"{path} has mode {mode:o}: others can read it", f"chmod 600 {path}")
    return ok(f"{name} key", f"{path} is its user's alone")
