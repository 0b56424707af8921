"""The page over HTTP: its files, the document that it polls, one request's record, a cut as a picture. Nothing is
changed.

The page may read a request's record, so no other site's script may read the page: where it is served on loopback, a
browser that was led here under a foreign name (DNS rebinding) is refused, and no answer allows another origin.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from importlib.resources import files

from isthmus.addresses import is_loopback, parse_address
from isthmus.errors import InvalidConfiguration, InvalidInput, InvalidRequest, NotFound, Unavailable
from nodes.background import asked_of_loop
from nodes.sight.document import sight_json
from nodes.sight.edge_sight import EdgeSight
from nodes.web.server import HttpAnswer, HttpQuestion, Routes
from partitioner.picture import cut_picture

__all__ = ["PAGE_POLICY", "page_routes"]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
JSON = "application/json"
_MOST_DIGITS = 18

Answering = Callable[[HttpQuestion], HttpAnswer]


def page_routes(sight: EdgeSight, listen: str) -> Routes:
    """Of the edge on the running event loop, whose port is `listen`."""
    loop = asyncio.get_running_loop()

    def document(question: HttpQuestion) -> HttpAnswer:
        since = _number(question.query.get("since", "0"))
        return _answer(sight_json(asked_of_loop(loop, lambda: sight.look(since))).encode(), JSON)

    def explained(question: HttpQuestion) -> HttpAnswer:
        request_id = question.query.get("id", "")
        return _answer(asked_of_loop(loop, lambda: sight.explain(request_id)).encode(), JSON)

    def drawn(question: HttpQuestion) -> HttpAnswer:
        model, plan_id = question.query.get("model", ""), question.query.get("plan", "")
        cut = asked_of_loop(loop, lambda: sight.cut(model, plan_id))
        return _answer(cut_picture(cut.graph, cut.plan).encode(), _TYPES["svg"], _PICTURE_POLICY)

    routes: dict[str, Answering] = {"/sight.json": document, "/request.json": explained, "/cut.svg": drawn, **_pages()}
    local_only = is_loopback(listen)
    return {path: _guarded(route, local_only=local_only) for path, route in routes.items()}


def _pages() -> dict[str, Answering]:
    """The files of the page, each at its own name, and the page itself at "/" too."""
    assets = {file.name: file.read_bytes() for file in files("nodes.sight").joinpath("assets").iterdir()}
    answers = {f"/{name}": _answer(body, _TYPES[name.rpartition(".")[2]]) for name, body in assets.items()}
    answers["/"] = answers["/page.html"]
    return {path: lambda _, answer=answer: answer for path, answer in answers.items()}  # type: ignore[misc]


def _guarded(route: Answering, *, local_only: bool) -> Answering:
    """Errors as answers; and only for who names this machine as such, where only this machine gets here."""

    def answer(question: HttpQuestion) -> HttpAnswer:
        if local_only and not _is_own_name(question.host):
            return _refusal(421, f"this is no {question.host}; ask for 127.0.0.1 or localhost")
        try:
            return route(question)
        except NotFound as error:
            return _refusal(404, str(error))
        except InvalidInput as error:
            return _refusal(400, str(error))
        except Unavailable as error:
            return _refusal(503, str(error))

    return answer


def _is_own_name(host: str) -> bool:
    """Whether a Host header names an address, or localhost; a client that sends none is no browser."""
    name = host
    if not name:
        return True
    try:
        name = parse_address(host)[0]
    except InvalidConfiguration:  # without a port
        name = host.strip("[]")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() == "localhost"
    return True


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidRequest("since", "is no number of a moment", value=text, remedy="write 0 for all")
    return int(text)


def _answer(body: bytes, content_type: str, policy: str = PAGE_POLICY) -> HttpAnswer:
    return HttpAnswer(body, content_type, headers={**_HEADERS, "Content-Security-Policy": policy})


def _refusal(status: int, said: str) -> HttpAnswer:
    headers = {**_HEADERS, "Content-Security-Policy": PAGE_POLICY}
    return HttpAnswer(f"{said}\n".encode(), status=status, headers=headers)
