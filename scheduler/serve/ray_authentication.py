"""Whether a Ray of our own lets in whoever reaches it: its processes listen on all addresses of the machine."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.errors import InvalidConfiguration

__all__ = ["check_authenticated"]

_MODE = "RAY_AUTH_MODE"


def check_authenticated(environment: Mapping[str, str], address: str) -> None:
    """Raises InvalidConfiguration where the environment has Ray's token authentication off. address: of a cluster that
    runs already, which is for others to guard; "" for a Ray of our own.

    `insecure` of a configuration says that a port of ours is in clear; a Ray without tokens runs anybody's code, which
    nothing of ours needs.
    """
    mode = environment.get(_MODE, "token")  # unset, Ray turns it on for a Ray that it starts (2.59 and later)
    if not address and mode.lower() != "token":
        problem = "lets whoever reaches this machine run code here: a Ray listens on all its addresses"
        remedy = "unset it, or set it to token; or use runtime: process"
        raise InvalidConfiguration(_MODE, problem, value=mode, remedy=remedy)
