"""The `logs` section of the configuration file."""

from __future__ import annotations

from isthmus.configuration_fields import Section
from isthmus.telemetry import LogForm, LogLevel, LogSettings

__all__ = ["LogsConfiguration"]


class LogsConfiguration(Section):
    """What the launcher and its nodes write to standard error. format: "auto" is for people on a terminal and one JSON
    object a line elsewhere."""

    level: LogLevel = "warning"
    format: LogForm = "auto"

    @property
    def settings(self) -> LogSettings:
        """As a process takes it."""
        return LogSettings(self.level, self.format)
