"""The path that Prometheus asks at."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from isthmus.errors import Unavailable
from nodes.web.server import HttpAnswer, HttpQuestion, Routes

__all__ = ["metrics_routes"]

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def metrics_routes(registry: CollectorRegistry) -> Routes:
    """/metrics: what the registry holds; 503 where the node does not say it."""

    def answer(_: HttpQuestion) -> HttpAnswer:
        try:
            return HttpAnswer(generate_latest(registry), TEXT_FORMAT)
        except Unavailable as error:
            return HttpAnswer(f"{error}\n".encode(), status=503)

    return {"/metrics": answer}
