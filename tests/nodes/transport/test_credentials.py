"""TLS on a real port: who gets in, what is renewed, and which file is at fault."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from isthmus.certificates import issue_certificates
from isthmus.errors import InvalidConfiguration
from nodes.tls_files import TlsFiles
from nodes.transport.credentials import open_channel
from nodes.transport.grpc_server import GrpcServer


def files(folder: Path, role: str) -> TlsFiles:
    return TlsFiles(*(str(folder / name) for name in ("authority.pem", f"{role}.pem", f"{role}.key")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    issue_certificates(tmp_path, ["127.0.0.1"], 30)
    return tmp_path


@contextlib.asynccontextmanager
async def serving(tls: TlsFiles, *, require_clients: bool = True) -> AsyncIterator[str]:
    server = GrpcServer([], lambda _: None)
    address = await server.start("127.0.0.1:0", "edge.listen", tls, require_clients=require_clients)
    await server.set_serving(True)
    try:
        yield address
    finally:
        await server.stop(0)


async def answers(address: str, tls: TlsFiles | None, server_name: str = "") -> bool:
    """Whether the server's health check answers this client."""
    async with open_channel(address, tls, server_name) as channel:
        check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return bool(await check(b"", timeout=5))
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017
            return False


async def test_only_who_shows_a_certificate_of_the_authority_gets_in(folder: Path, tmp_path: Path) -> None:
    issue_certificates(tmp_path / "stranger", ["127.0.0.1"], 30)
    stranger = replace(files(tmp_path / "stranger", "client"), authority=str(folder / "authority.pem"))
    async with serving(files(folder, "edge")) as address:
        assert await answers(address, files(folder, "client"))
        assert not await answers(address, TlsFiles(str(folder / "authority.pem")))
        assert not await answers(address, stranger)
        assert not await answers(address, None)


async def test_without_that_rule_a_client_needs_no_certificate(folder: Path) -> None:
    async with serving(files(folder, "edge"), require_clients=False) as address:
        assert await answers(address, TlsFiles(str(folder / "authority.pem")))


async def test_a_server_that_the_authority_did_not_sign_is_not_believed(folder: Path, tmp_path: Path) -> None:
    issue_certificates(tmp_path / "stranger", ["127.0.0.1"], 30)
    async with serving(files(tmp_path / "stranger", "edge"), require_clients=False) as address:
        assert not await answers(address, TlsFiles(str(folder / "authority.pem")))


async def test_the_name_in_the_certificate_may_differ_from_the_host(tmp_path: Path) -> None:
    issue_certificates(tmp_path, ["cloud.example"], 30)
    async with serving(files(tmp_path, "cloud")) as address:
        assert not await answers(address, files(tmp_path, "client"))
        assert await answers(address, files(tmp_path, "client"), "cloud.example")


async def shown_by(address: str) -> str:
    """The certificate of a server, by a client of another make."""
    host, port = address.split(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))


async def test_a_renewed_certificate_is_shown_to_the_next_connection(folder: Path) -> None:
    async with serving(files(folder, "edge"), require_clients=False) as address:
        assert await shown_by(address) == (folder / "edge.pem").read_text()
        issue_certificates(folder, ["127.0.0.1"], 30)
        assert await shown_by(address) == (folder / "edge.pem").read_text()


async def test_what_is_renewed_while_the_server_starts_is_not_missed(folder: Path) -> None:
    renewals = iter([True])

    class Renewing(TlsFiles):
        """Renewed just before anybody looks when."""

        def changed_at(self) -> tuple[int, ...]:
            if next(renewals, False):
                issue_certificates(folder, ["127.0.0.1"], 30)
            return super().changed_at()

    tls = files(folder, "edge")
    async with serving(Renewing(tls.authority, tls.certificate, tls.key), require_clients=False) as address:
        assert await shown_by(address) == (folder / "edge.pem").read_text()


async def test_half_of_a_renewal_leaves_the_old_pair_serving(folder: Path) -> None:
    async with serving(files(folder, "edge")) as address:
        (folder / "edge.key").write_bytes((folder / "cloud.key").read_bytes())
        assert await answers(address, files(folder, "client"))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"certificate": "nowhere.pem"}, r"edge\.tls\.certificate: cannot be read"),
        ({"key": "cloud.key"}, r"edge\.tls\.key: does not belong"),
        ({"certificate": "edge.key"}, r"edge\.tls\.certificate: is not a PEM certificate"),
        ({"key": "edge.pem"}, r"edge\.tls\.key: is not an unencrypted PEM key"),
        ({"authority": "edge.key"}, r"edge\.tls\.authority: is not a PEM certificate"),
    ],
)
async def test_a_file_at_fault_is_named(folder: Path, broken: dict[str, str], words: str) -> None:
    tls = replace(files(folder, "edge"), **{name: str(folder / file) for name, file in broken.items()})
    with pytest.raises(InvalidConfiguration, match=words):
        async with serving(tls):
            pass


async def test_checking_clients_takes_an_authority(folder: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"edge\.tls\.authority"):
        async with serving(replace(files(folder, "edge"), authority="")):
            pass
