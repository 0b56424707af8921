"""How a peer's program tells the benchmark where it serves."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping

__all__ = ["free_port", "say_ready"]


def say_ready(endpoints: Mapping[str, tuple[str, int]], **facts: object) -> None:
    """One line of JSON on standard output. facts: whatever else the benchmark reports."""
    print(json.dumps({"ready": endpoints, **facts}), flush=True)


def free_port() -> int:
    """For servers that take no port 0: one that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
