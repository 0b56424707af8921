"""Whose a request is, for a fair share: the subject of a client's certificate, else what the request says, else where
it comes from."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Call", "Caller", "caller_of"]


class Call(Protocol):
    """What is asked of a call here."""

    def peer(self) -> str:
        """Who calls, as gRPC names it."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What TLS says of who calls; empty without."""


@dataclass(frozen=True, slots=True)
class Caller:
    """certified: the name is that of a certificate that an authority signed, so that no request may say another."""

    name: str
    certified: bool = False

    def client(self, said: str) -> str:
        """The client of a request whose parameter isthmus_client is `said`, "" where it has none. Neither can take the
        other's name."""
        if self.certified:
            return f"certificate {self.name}"
        return f"parameter {said}" if said else f"address {self.name}"


def caller_of(call: Call) -> Caller:
    """Who calls. All connections of one host are one caller: ports differ with each."""
    told = call.auth_context()
    for key in ("x509_common_name", "x509_subject_alternative_name"):
        names = [name for name in told.get(key, ()) if name]
        if names:
            return Caller(names[0].decode(errors="replace"), certified=True)
    host = urllib.parse.unquote(call.peer()).partition(":")[2].rpartition(":")[0]
    return Caller(host or "local")
