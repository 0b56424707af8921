"""The port that Prometheus scrapes: HTTP on threads of its own, so that a scrape waits for no request, nor it for one.

prometheus_client's own server is not used: one client that connects and says nothing holds up its TLS for everybody,
and nothing bounds its threads.
"""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from isthmus.addresses import format_address, parse_address
from isthmus.errors import PortInUse, Unavailable
from isthmus.telemetry import get_logger
from nodes.metrics.tls_context import TlsContext
from nodes.tls_files import TlsFiles

__all__ = ["MOST_CLIENTS", "MetricsServer"]

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
CLIENT_TIMEOUT_S = 10.0
MOST_CLIENTS = 8
_POLL_S = 0.2


class MetricsServer:
    """`MetricsServer.start(...)`, `stop()` once it shall end."""

    def __init__(self, server: _Server, address: str) -> None:
        self._server = server
        self.address = address
        # Daemons, all of them: a process that ends waits for no scrape.
        threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True).start()

    @classmethod
    def start(
        cls, registry: CollectorRegistry, listen: str, field: str, tls: TlsFiles | None = None, *,
        require_clients: bool = False,
    ) -> MetricsServer:  # fmt: skip
        """Serve http(s)://listen/metrics; port 0 takes a free one. field: the configuration's name of `listen`.

        Raises PortInUse naming it, InvalidConfiguration for TLS files that are not what they should be.
        """
        host, port = parse_address(listen, field)
        side = field.partition(".")[0]
        secured = None if tls is None else TlsContext(tls, require_clients=require_clients, field=side)
        try:
            server = _Server(registry, host, port, secured)
        except OSError as error:
            remedy = "free the port or choose another"
            raise PortInUse(f"{field}: cannot listen on {listen}: {error.strerror}; {remedy}") from error
        started = cls(server, format_address(host, server.server_address[1]))
        if port == 0:  # nobody can know it otherwise, and nodes log from "warning" on
            get_logger("metrics").warning("metrics are served at a free port", field=field, address=started.address)
        return started

    def stop(self) -> None:
        """Take no more scrapes. May be called twice."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, TCPServer):  # HTTPServer would look up its own name, which may take seconds
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, registry: CollectorRegistry, host: str, port: int, secured: TlsContext | None) -> None:
        self.registry, self._secured = registry, secured
        self._clients = threading.BoundedSemaphore(MOST_CLIENTS)
        self.address_family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        super().__init__(address, _Handler)  # type: ignore[arg-type]

    def process_request(self, request: Any, client_address: Any) -> None:
        """On a thread of its own, unless there are as many clients as may be."""
        if self._clients.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """On that thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._clients.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake belongs here: it may take as long as the client likes, up to the timeout."""
        request.settimeout(CLIENT_TIMEOUT_S)
        if self._secured is None:
            _Handler(request, client_address, self)
            return
        with self._secured.current().wrap_socket(request, server_side=True) as secured:
            _Handler(secured, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left, stayed silent or speaks no TLS: its own fault."""
        get_logger("metrics").debug("scrape ended early", client=str(client_address), exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "isthmus"
    sys_version = ""

    def do_GET(self) -> None:
        """The metrics, as text."""
        if self.path.partition("?")[0] != "/metrics":
            self._answer(404, b"the metrics are at /metrics\n")
            return
        try:
            text = generate_latest(self.server.registry)
        except Unavailable as error:
            self._answer(503, f"{error}\n".encode())
        else:
            self._answer(200, text, TEXT_FORMAT)

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for every scrape tells nobody anything."""
