"""Where a side keeps what it proves itself with, and whom it trusts: paths only, so that it crosses process borders."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TlsFiles"]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. authority: certificates that a peer's must be signed by, "" for those the system trusts.

    certificate, key: this side's own, "" for a client that does not show one. Files are read again when they change.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""
