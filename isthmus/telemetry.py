"""Structured logs for every process: one event name and named values a line, on standard error.

A library never configures logging: processes that Isthmus owns call `configure_logging` once at their start.
"""

from __future__ import annotations

import logging
import sys

import structlog

__all__ = ["configure_logging", "get_logger"]


def get_logger(component: str) -> structlog.stdlib.BoundLogger:
    """The logger of one component ("edge", "cloud", "registry"); the name travels in every line."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger().bind(component=component)
    return logger


def configure_logging(level: str = "info") -> None:
    """Send events of `level` and above to standard error: coloured on a terminal, one JSON object a line elsewhere."""
    terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
