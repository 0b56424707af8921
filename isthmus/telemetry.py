"""Structured logs for every process: one event name and named values a line, on standard error.

A library never configures logging: processes that Isthmus owns call `configure_logging` once at their start.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import Literal

import structlog

__all__ = ["DEFAULT_LOGS", "LogForm", "LogLevel", "LogSettings", "configure_logging", "get_logger"]

LogLevel = Literal["debug", "info", "warning", "error"]
LogForm = Literal["auto", "json", "console"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What a process that Isthmus owns writes. form: "auto" is console on a terminal and json elsewhere."""

    level: LogLevel = "warning"
    form: LogForm = "auto"

    def configure(self) -> None:
        """For this process."""
        configure_logging(self.level, self.form)


DEFAULT_LOGS = LogSettings()


def get_logger(component: str) -> structlog.stdlib.BoundLogger:
    """The logger of one component ("edge", "cloud", "registry"); the name travels in every line."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger().bind(component=component)
    return logger


def configure_logging(level: str = "info", form: LogForm = "auto") -> None:
    """Send events of `level` and above to standard error: one JSON object a line, or for people (form: LogSettings)."""
    console = sys.stderr.isatty() if form == "auto" else form == "console"
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer()
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
