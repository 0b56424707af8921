"""A node asks itself at its own port."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.certificates import issue_certificates
from isthmus.errors import InvalidConfiguration, Unavailable
from nodes.tls_files import TlsFiles
from nodes.transport.own_client import own_client
from nodes.transport.self_check import SelfCheck
from tests.nodes.sites import Cloud, small_model
from tests.nodes.transport.test_credentials import answers, files, serving


async def test_a_replica_that_serves_passes_and_one_whose_server_stopped_does_not() -> None:
    cloud = await Cloud.start([small_model()], "itself")
    try:
        with pytest.raises(Unavailable, match="NOT_FOUND"):
            await SelfCheck(cloud.target, None).replica()  # its health is not set yet
        await cloud.server.set_serving(False)
        with pytest.raises(Unavailable, match="says that it does not serve"):
            await SelfCheck(cloud.target, None).replica()
        await cloud.server.set_serving(True)
        await SelfCheck(cloud.target, None).replica()
        await SelfCheck(cloud.target.replace("127.0.0.1", "0.0.0.0"), None).replica()
    finally:
        await cloud.stop()
    with pytest.raises(Unavailable, match=f"own port {cloud.target}: does not answer"):
        await SelfCheck(cloud.target, None).replica()


async def test_a_replica_whose_node_fails_does_not_pass_although_its_port_answers() -> None:
    cloud = await Cloud.start([small_model()], "itself")
    try:
        await cloud.server.set_serving(True)
        cloud.node.models = None  # type: ignore[assignment]
        with pytest.raises(Unavailable, match="does not answer"):
            await SelfCheck(cloud.target, None).replica()
    finally:
        await cloud.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "edge.example", "*.example"])
async def test_with_tls_it_expects_a_name_that_its_certificate_is_for(tmp_path: Path, host: str) -> None:
    issue_certificates(tmp_path, [host], 30)
    tls = files(tmp_path, "edge")
    async with serving(tls) as address:
        await SelfCheck(address, tls).gateway()
        issue_certificates(tmp_path / "stranger", [host], 30)
        stranger: TlsFiles = replace(files(tmp_path / "stranger", "edge"))
        with pytest.raises(Unavailable):
            await SelfCheck(address, stranger).gateway()


async def test_half_of_a_renewal_is_no_reason_to_replace_a_node(tmp_path: Path) -> None:
    """Its port goes on serving the pair before."""
    issue_certificates(tmp_path, ["edge.example"], 30)
    issue_certificates(tmp_path / "new", ["edge.example"], 30)
    tls, new = files(tmp_path, "edge"), files(tmp_path / "new", "edge")
    async with serving(tls) as address:
        check = SelfCheck(address, tls)
        await check.gateway()
        for old, fresh in ((tls.certificate, new.certificate), (tls.key, new.key), (tls.authority, new.authority)):
            shutil.copy(fresh, old)
            await check.gateway()
        shutil.copy(tls.certificate, tls.key)
        with pytest.raises(InvalidConfiguration):
            await SelfCheck(address, tls).gateway()  # which knows of no pair before


async def test_an_authority_that_is_for_clients_alone_need_not_vouch_for_the_certificate(tmp_path: Path) -> None:
    issue_certificates(tmp_path / "ours", ["cloud.example"], 30)
    issue_certificates(tmp_path / "edges", ["edge.example"], 30)
    mixed = replace(files(tmp_path / "ours", "cloud"), authority=files(tmp_path / "edges", "edge").authority)
    async with serving(mixed) as address:
        await SelfCheck(address, mixed).gateway()
        # Who has a certificate of the authority that signed the port's own gets in no more than before.
        assert not await answers(address, files(tmp_path / "ours", "client"), "cloud.example")
        edge = replace(files(tmp_path / "edges", "edge"), authority=files(tmp_path / "ours", "cloud").authority)
        assert await answers(address, edge, "cloud.example")


async def test_what_another_process_shows_itself_does_not_let_it_in(tmp_path: Path) -> None:
    issue_certificates(tmp_path, ["cloud.example"], 30)
    tls, other = files(tmp_path, "cloud"), own_client.__wrapped__()
    (tmp_path / "other.pem").write_bytes(other.certificate)
    (tmp_path / "other.key").write_bytes(other.key)
    async with serving(tls) as address:
        assert not await answers(address, files(tmp_path, "other"), "cloud.example")
