"""Tracing as the standard environment variables configure it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from isthmus.errors import InvalidConfiguration
from nodes.tracing.base import Tracing

__all__ = ["configured_tracing"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def configured_tracing(service: str, environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Spans under that service name to the OTLP endpoint of the environment, None where it names none or says
    OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER=none. Other OTEL_* variables (headers, sampler, resource) count as the
    OpenTelemetry SDK reads them. Raises InvalidConfiguration where the packages are missing.
    """
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or environment.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return None
    named = next((name for name in _ENDPOINTS if environment.get(name)), None)
    if named is None:
        return None
    try:
        from nodes.tracing.otel import OtelTracing  # half a second of imports that nobody pays for otherwise
    except ImportError:
        remedy = "pip install 'isthmus[tracing]', or unset it"
        raise InvalidConfiguration(named, "needs packages that are not installed", remedy=remedy) from None
    return OtelTracing.to_endpoint(service)
