"""What is said of TLS files: real certificates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.certificates import issue_certificates
from isthmus.doctor.tls_checks import check_tls
from isthmus.doctor.tls_facts import tls_facts
from nodes.tls_files import TlsFiles

DAYS = 30
DIALLED = {"cloud.advertise": "cloud.example", "cloud.registry_listen": "127.0.0.1"}


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    """A cloud's, for a name, a wildcard and an address."""
    issue_certificates(tmp_path, ["cloud.example", "*.pods.example", "127.0.0.1"], DAYS)
    return TlsFiles(*(str(tmp_path / name) for name in ("authority.pem", "cloud.pem", "cloud.key")))


def said(files: TlsFiles, dialled: Mapping[str, str] = DIALLED, days_later: float = 0.0) -> list[tuple[str, str]]:
    now = dt.datetime.now(dt.UTC) + dt.timedelta(days=days_later)
    found = check_tls("cloud", tls_facts(files), dialled, now)
    return [(one.check, one.level) for one in found if one.level != "ok"]


def test_fresh_files_for_the_names_that_are_dialled_give_nothing_to_do(files: TlsFiles) -> None:
    assert said(files) == []


@pytest.mark.parametrize(("days_later", "level"), [(DAYS - 1, "warn"), (DAYS + 1, "fail"), (-1, "fail")])
def test_a_certificate_that_is_not_valid_for_long_is_told(files: TlsFiles, days_later: float, level: str) -> None:
    assert ("cloud TLS expiry", level) in said(files, days_later=days_later)


@pytest.mark.parametrize(
    ("host", "covered"),
    [("other.example", False), ("10.0.0.7", False), ("a.pods.example", True), ("a.b.pods.example", False)],
)
def test_a_host_that_the_certificate_is_not_for_fails(files: TlsFiles, host: str, covered: bool) -> None:
    assert said(files, {"cloud.advertise": host}) == ([] if covered else [("cloud TLS names", "fail")])


def test_a_key_that_others_can_read_is_a_warning(files: TlsFiles) -> None:
    Path(files.key).chmod(0o640)
    assert said(files) == [("cloud TLS key", "warn")]


def test_a_key_of_another_certificate_fails(files: TlsFiles) -> None:
    assert said(replace(files, key=files.key.replace("cloud", "edge"))) == [("cloud TLS key", "fail")]


def test_files_that_cannot_be_read_or_are_none_fail(files: TlsFiles) -> None:
    Path(files.key).write_text("secret")
    found = said(replace(files, certificate=files.certificate + ".gone"))
    assert found == [("cloud TLS file", "fail"), ("cloud TLS file", "fail")]


def test_a_certificate_that_another_authority_signed_is_a_warning(files: TlsFiles, tmp_path: Path) -> None:
    issue_certificates(tmp_path / "others", ["localhost"], DAYS)
    other = replace(files, authority=str(tmp_path / "others" / "authority.pem"))
    assert said(other) == [("cloud TLS authority", "warn")]
