"""Where a side keeps what it proves itself with, and whom it trusts: paths only, so that it crosses process borders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TlsFiles"]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. authority: certificates that a peer's must be signed by, "" for those the system trusts.

    certificate, key: this side's own, "" for a client that does not show one. Ports read them again when they change,
    channels when they are made.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""

    def changed_at(self) -> tuple[int, ...]:
        """When each of those given was last written, in nanoseconds: equal means nothing to read again. Raises OSError
        for one that is not there."""
        return tuple(Path(path).stat().st_mtime_ns for path in (self.authority, self.certificate, self.key) if path)
