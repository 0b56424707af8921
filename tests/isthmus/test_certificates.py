"""Certificates for development."""

from __future__ import annotations

import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from isthmus.certificates import ROLES, issue_certificates
from isthmus.errors import InvalidConfiguration


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize("role", ROLES)
def test_the_authority_vouches_for_every_role_on_every_host(tmp_path: Path, role: str) -> None:
    issue_certificates(tmp_path, ["edge.example", "127.0.0.1"], 30)
    trusted = Store([certificate(tmp_path / "authority.pem")])
    leaf = certificate(tmp_path / f"{role}.pem")
    for subject in (x509.DNSName("edge.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))):
        PolicyBuilder().store(trusted).build_server_verifier(subject).verify(leaf, [])
    PolicyBuilder().store(trusted).build_client_verifier().verify(leaf, [])


def test_another_run_renews_with_the_same_authority(tmp_path: Path) -> None:
    first = issue_certificates(tmp_path, ["localhost"], 30)
    before = {path: path.read_bytes() for path in first}
    again = issue_certificates(tmp_path, ["localhost"], 30)
    assert {path.name for path in set(first) - set(again)} == {"authority.pem", "authority.key"}
    assert all(path.read_bytes() != before[path] for path in again)


def test_nobody_else_reads_a_key(tmp_path: Path) -> None:
    keys = [path for path in issue_certificates(tmp_path, ["localhost"], 30) if path.suffix == ".key"]
    assert len(keys) == 4
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys)


@pytest.mark.parametrize("host", ["", "ü.example", "two words", "-x.example", "a..b"])
def test_a_host_that_is_none_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidConfiguration, match="--host"):
        issue_certificates(tmp_path, [host], 30)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidConfiguration, match="cannot be written to"):
        issue_certificates(tmp_path / "file", ["localhost"], 30)


def test_half_an_authority_is_refused(tmp_path: Path) -> None:
    issue_certificates(tmp_path, ["localhost"], 30)
    (tmp_path / "authority.key").unlink()
    with pytest.raises(InvalidConfiguration, match="half of an authority"):
        issue_certificates(tmp_path, ["localhost"], 30)
