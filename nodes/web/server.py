"""The port that Prometheus scrapes and that the page is read at: HTTP on threads of its own, so that a look waits for
no request, nor it for one. It answers GET alone: nothing is changed here.

prometheus_client's own server is not used: one client that connects and says nothing holds up its TLS for everybody,
and nothing bounds its threads.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs

from isthmus.addresses import format_address, parse_address
from isthmus.errors import PortInUse
from isthmus.telemetry import get_logger
from nodes.tls_files import TlsFiles
from nodes.web.tls_context import TlsContext

__all__ = ["MOST_CLIENTS", "PLAIN_TEXT", "HttpAnswer", "HttpQuestion", "HttpServer", "Routes"]

PLAIN_TEXT = "text/plain; charset=utf-8"
CLIENT_TIMEOUT_S = 10.0
# A browser opens six connections for one page, and some that it never uses.
MOST_CLIENTS = 32
MOST_FIELDS = 64
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class HttpQuestion:
    """What a client asks. host: as it names this server, "" where it does not. query: the last value of each name."""

    host: str
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What it is answered. headers: besides the type and the length."""

    body: bytes
    content_type: str = PLAIN_TEXT
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Routes = Mapping[str, Callable[[HttpQuestion], HttpAnswer]]
"""Who answers at which path. Called on a thread of the server's; raises nothing."""


class HttpServer:
    """`HttpServer.start(...)`, `stop()` once it shall end."""

    def __init__(self, server: _Server, address: str) -> None:
        self._server = server
        self.address = address
        # Daemons, all of them: a process that ends waits for no scrape.
        threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="web", daemon=True).start()

    @classmethod
    def start(
        cls, routes: Routes, listen: str, field: str, tls: TlsFiles | None = None, *, require_clients: bool = False,
    ) -> HttpServer:  # fmt: skip
        """Serve the routes at http(s)://listen; port 0 takes a free one. field: the configuration's name of `listen`.

        Raises PortInUse naming it, InvalidConfiguration for TLS files that are not what they should be.
        """
        host, port = parse_address(listen, field)
        side = field.partition(".")[0]
        secured = None if tls is None else TlsContext(tls, require_clients=require_clients, field=side)
        try:
            server = _Server(routes, host, port, secured)
        except OSError as error:
            remedy = "free the port or choose another"
            raise PortInUse(f"{field}: cannot listen on {listen}: {error.strerror}; {remedy}") from error
        started = cls(server, format_address(host, server.server_address[1]))
        if port == 0:  # nobody can know it otherwise, and nodes log from "warning" on
            get_logger("web").warning("served at a free port", field=field, address=started.address)
        return started

    def stop(self) -> None:
        """Answer nobody any more. May be called twice."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, TCPServer):  # HTTPServer would look up its own name, which may take seconds
    allow_reuse_address = True
    request_queue_size = (
        MOST_CLIENTS  # of 5, what a browser opens at once would be dropped, to come again a second later
    )
    daemon_threads = True
    block_on_close = False

    def __init__(self, routes: Routes, host: str, port: int, secured: TlsContext | None) -> None:
        self.routes, self._secured = routes, secured
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
        get_logger("web").debug("connection ended early", client=str(client_address), exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "isthmus"
    sys_version = ""

    def do_GET(self) -> None:
        """Whatever the path's route answers."""
        path, _, query = self.path.partition("?")
        route = self.server.routes.get(path)
        if route is None:
            there_is = ", ".join(one for one in self.server.routes if one.count("/") == 1)
            self._send(HttpAnswer(f"there is here: {there_is}\n".encode(), status=404))
            return
        try:
            values = {name: given[-1] for name, given in parse_qs(query, max_num_fields=MOST_FIELDS).items()}
        except ValueError as error:
            self._send(HttpAnswer(f"the query cannot be read: {error}\n".encode(), status=400))
            return
        self._send(route(HttpQuestion(self.headers.get("Host", ""), values)))

    def _send(self, answer: HttpAnswer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for every scrape tells nobody anything."""
