"""A node's HTTP port with the metrics on it, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from prometheus_client.core import Metric

from isthmus.addresses import parse_address
from isthmus.certificates import issue_certificates
from isthmus.errors import InvalidConfiguration, PortInUse
from nodes.background import LOOP_TIMEOUT_S
from nodes.metrics.families import gauge
from nodes.metrics.loop_collector import node_registry
from nodes.metrics.route import metrics_routes
from nodes.tls_files import TlsFiles
from nodes.web.server import MOST_CLIENTS, HttpServer

FIELD = "edge.metrics_listen"


def families(value: float) -> Iterator[Metric]:
    yield gauge("isthmus_answer", "The answer.", value)


def get(url: str, context: ssl.SSLContext | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@contextlib.asynccontextmanager
async def serving(
    tls: TlsFiles | None = None, *, require_clients: bool = False, loop_timeout_s: float = LOOP_TIMEOUT_S
) -> AsyncIterator[HttpServer]:
    registry = node_registry(lambda: 42.0, families, loop_timeout_s)
    started = HttpServer.start(metrics_routes(registry), "127.0.0.1:0", FIELD, tls, require_clients=require_clients)
    try:
        yield started
    finally:
        await asyncio.to_thread(started.stop)


def files(folder: Path, role: str) -> TlsFiles:
    return TlsFiles(*(str(folder / name) for name in ("authority.pem", f"{role}.pem", f"{role}.key")))


def client_context(folder: Path, role: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    if role is not None:
        context.load_cert_chain(folder / f"{role}.pem", folder / f"{role}.key")
    return context


async def test_the_facts_are_taken_on_the_event_loop() -> None:
    threads = []

    def facts() -> float:
        threads.append(threading.current_thread())
        return 42.0

    started = HttpServer.start(metrics_routes(node_registry(facts, families)), "127.0.0.1:0", FIELD)
    status, text = await asyncio.to_thread(get, f"http://{started.address}/metrics")
    await asyncio.to_thread(started.stop)
    assert (status, threads) == (200, [threading.current_thread()])
    assert "isthmus_answer 42.0\n" in text


async def test_other_paths_say_what_there_is() -> None:
    async with serving() as started:
        status, text = await asyncio.to_thread(get, f"http://{started.address}/")
    assert (status, text) == (404, "there is here: /metrics\n")


async def test_a_loop_that_hangs_is_said_to() -> None:
    async with serving(loop_timeout_s=0.1) as started:
        status, text = get(f"http://{started.address}/metrics")  # on the loop's own thread: it hangs meanwhile
    assert status == 503
    assert "did not answer within 0.1 s" in text


def test_a_node_that_has_ended_is_said_to() -> None:
    async def started() -> HttpServer:
        return HttpServer.start(metrics_routes(node_registry(lambda: 1.0, families)), "127.0.0.1:0", FIELD)

    left = asyncio.run(started())
    status, text = get(f"http://{left.address}/metrics")
    left.stop()
    assert (status, "the node has ended" in text) == (503, True)


async def test_a_client_that_says_nothing_holds_up_nobody() -> None:
    async with serving() as started:
        with socket.create_connection(parse_address(started.address)):
            status, _ = await asyncio.to_thread(get, f"http://{started.address}/metrics")
    assert status == 200


async def test_a_silent_client_does_not_hold_up_a_secured_port_either(tmp_path: Path) -> None:
    issue_certificates(tmp_path, ["127.0.0.1"], 30)
    async with serving(files(tmp_path, "edge")) as started:
        with socket.create_connection(parse_address(started.address)):
            url = f"https://{started.address}/metrics"
            status, _ = await asyncio.to_thread(get, url, client_context(tmp_path))
    assert status == 200


async def test_more_clients_than_may_be_are_let_go() -> None:
    async with serving() as started:
        with contextlib.ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(parse_address(started.address), timeout=10))
                for _ in range(MOST_CLIENTS + 1)
            ]
            assert await asyncio.to_thread(clients[-1].recv, 1) == b""
            clients[0].sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert (await asyncio.to_thread(clients[0].recv, 12)).endswith(b"200")


async def test_a_taken_port_is_named() -> None:
    async with serving() as started:
        with pytest.raises(PortInUse, match=rf"edge\.metrics_listen: cannot listen on {started.address}"):
            HttpServer.start({}, started.address, FIELD)


async def test_who_must_show_a_certificate_gets_in_with_one_only(tmp_path: Path) -> None:
    issue_certificates(tmp_path, ["127.0.0.1"], 30)
    async with serving(files(tmp_path, "edge"), require_clients=True) as started:
        url = f"https://{started.address}/metrics"
        assert (await asyncio.to_thread(get, url, client_context(tmp_path, "client")))[0] == 200
        with pytest.raises(OSError):  # noqa: PT011 (TLS 1.3 refuses a client after its first bytes: several errors)
            await asyncio.to_thread(get, url, client_context(tmp_path))


async def test_a_renewed_certificate_is_shown_to_the_next_scrape(tmp_path: Path) -> None:
    def shown() -> bytes | None:
        with (
            socket.create_connection(parse_address(started.address), timeout=10) as plain,
            client_context(tmp_path).wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            return secured.getpeercert(binary_form=True)

    issue_certificates(tmp_path, ["127.0.0.1"], 30)
    async with serving(files(tmp_path, "edge")) as started:
        before = await asyncio.to_thread(shown)
        key = (tmp_path / "edge.key").read_text()
        (tmp_path / "edge.key").write_text("half of a renewal")
        assert await asyncio.to_thread(shown) == before
        (tmp_path / "edge.key").write_text(key)
        issue_certificates(tmp_path, ["127.0.0.1"], 30)
        assert await asyncio.to_thread(shown) != before


async def test_a_key_that_wants_a_password_is_refused_and_nobody_is_asked_for_one(tmp_path: Path) -> None:
    issue_certificates(tmp_path, ["127.0.0.1"], 30)
    key = serialization.load_pem_private_key((tmp_path / "edge.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "edge.key").write_bytes(key.private_bytes(*form, locked))
    with pytest.raises(InvalidConfiguration, match=r"edge\.tls: cannot be served with"):
        HttpServer.start({}, "127.0.0.1:0", FIELD, files(tmp_path, "edge"))


async def test_tls_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"edge\.tls: cannot be served with"):
        HttpServer.start({}, "127.0.0.1:0", FIELD, files(tmp_path, "edge"))


async def test_stopping_twice_is_stopping() -> None:
    async with serving() as started:
        await asyncio.to_thread(started.stop)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(parse_address(started.address))
